//! A set of services of a test's own, to be killed at will. The shared ones are never touched.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::db::setting;
use crate::process::clean;
use crate::system::Services;

/// PostgreSQL, Redis and RabbitMQ that belong to one test; stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivateServices {
    folder: PathBuf,
    /// Where they are; the same after a restart.
    pub places: Services,
}

impl PrivateServices {
    /// Starts them on free ports and waits until they are ready.
    ///
    /// # Panics
    /// When one doesn't start.
    #[must_use]
    pub fn start() -> Self {
        let folder =
            std::env::temp_dir().join(format!("roost-services-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut services = Self {
            folder,
            places: Services {
                admin_url: String::new(),
                redis_url: String::new(),
                amqp_url: String::new(),
            },
        };
        let told = services.tell(&["start"]);
        let text = |key: &str| {
            told[key]
                .as_str()
                .unwrap_or_else(|| panic!("{told}"))
                .to_owned()
        };
        services.places = Services {
            admin_url: text("admin_url"),
            redis_url: text("redis_url"),
            amqp_url: text("amqp_url"),
        };
        services
    }

    /// Kills one of `postgres`, `redis` and `rabbitmq` with SIGKILL, its helpers too.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn kill(&self, service: &str) {
        self.tell(&["kill-one", service]);
    }

    /// Starts one again, on the same port and data, and waits until it is ready.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn restart(&self, service: &str) {
        self.tell(&["start-one", service]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(&setting("ROOST_TEST_XTASK_BIN"));
        command
            .arg("services")
            .arg("--state")
            .arg(&self.folder)
            .args(arguments);
        command
    }

    fn tell(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "xtask services {arguments:?}: {errors}"
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for PrivateServices {
    fn drop(&mut self) {
        // A set that can't be stopped is looked for in vain only by hand; its folder names it.
        if self
            .command(&["stop"])
            .output()
            .is_ok_and(|output| output.status.success())
        {
            std::fs::remove_dir_all(&self.folder).ok();
        }
    }
}
