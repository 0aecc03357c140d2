//! Password hashing: Argon2id, one at a time.
//!
//! A hash takes 64 MiB and a tenth of a second of one core: two at once would starve the rest of the
//! process, and an unbounded queue of them is a cheap way to fill it.

mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use prometheus::IntCounter;
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

pub(crate) use rules::check_new;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Callers that may wait; more are told to come back.
const MAX_WAITING: usize = 50;

/// Hashes and checks passwords. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    turn: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    hashes: IntCounter,
}

impl Passwords {
    pub(crate) fn new(hashes: IntCounter) -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            waiting: Arc::default(),
            hashes,
        }
    }

    /// The hash of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        self.run(move || {
            let hash = argon2()?
                .hash_password(password.as_bytes())
                .map_err(|e| e.to_string())?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether this is the password. Without a hash to check against it does the same work and says
    /// no, so that the time tells nothing about who has an account.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        self.run(move || {
            let Some(hash) = hash else {
                argon2()?
                    .hash_password(password.as_bytes())
                    .map_err(|e| e.to_string())?;
                return Ok(false);
            };
            let hash = PasswordHash::new(&hash).map_err(|e| e.to_string())?;
            Ok(argon2()?
                .verify_password(password.as_bytes(), &hash)
                .is_ok())
        })
        .await
    }

    /// Whether a hash was made with other parameters than those of today.
    pub(crate) fn is_outdated(hash: &str) -> bool {
        let today = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        !hash.starts_with(&today)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = Place::take(&self.waiting)
            .ok_or_else(|| Problem::with(Code::Busy, "too many sign-ins at once").retry_after(2))?;
        let turn = self.turn.clone().acquire_owned().await;
        let turn = turn.map_err(|error| Problem::caused(Code::Internal, error))?;
        self.hashes.inc();
        let done = tokio::task::spawn_blocking(move || {
            // Moved in: a caller that goes away leaves the work running.
            let _turn = turn;
            work()
        });
        done.await
            .map_err(|error| Problem::caused(Code::Internal, error))?
            .map_err(|error| Problem::caused(Code::Internal, error))
    }
}

fn argon2() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A place among those who wait, given back on drop.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting.clone());
        // One of them has its turn.
        (before <= MAX_WAITING).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(IntCounter::new("hashes", "Hashes.").unwrap())
    }

    #[tokio::test]
    async fn unknown_people_cost_the_same_work_as_known_ones() {
        let passwords = passwords();
        let hash = passwords
            .hash("correct horse battery".to_owned())
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify("correct horse battery".to_owned(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("wrong horse battery".to_owned(), Some(hash))
                .await
                .unwrap()
        );
        let before = passwords.hashes.get();
        assert!(
            !passwords
                .verify("correct horse battery".to_owned(), None)
                .await
                .unwrap()
        );
        assert_eq!(passwords.hashes.get(), before + 1);
    }

    #[test]
    fn the_fifty_second_caller_is_sent_away() {
        let waiting = Arc::default();
        let places: Vec<_> = (0..51).map(|_| Place::take(&waiting)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(Place::take(&waiting).is_none());
        drop(places);
        assert!(Place::take(&waiting).is_some());
    }
}
