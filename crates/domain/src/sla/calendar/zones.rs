//! The rules of time zones: those of the program, not of the host, so that every process counts alike.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of an IANA name, if there is such a zone.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let zone = BUNDLED.get(name).ok()?;
    (!zone.is_unknown()).then_some(zone)
}

/// The names of all zones.
#[must_use]
pub fn zones() -> Vec<String> {
    BUNDLED.available().map(|name| name.to_string()).collect()
}
