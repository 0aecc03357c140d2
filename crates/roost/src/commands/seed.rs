//! `roost seed`: the demo brand.

use super::{configure, print};
use crate::roles;

pub(crate) async fn seed() -> anyhow::Result<()> {
    let config = configure(&["database_app_url", "database_ingest_url"])?;
    let store = roles::store(&config, 2, 1)?;
    let seeded = roost_gateway::seed::seed(&store).await?;
    print(&serde_json::to_string(&seeded)?)
}
