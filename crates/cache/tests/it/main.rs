//! Against a real Redis, named by `ROOST_TEST_REDIS_URL`.

#[cfg(test)]
mod live;
