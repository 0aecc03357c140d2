//! Against a real broker, named by `ROOST_TEST_AMQP_URL`.

#[cfg(test)]
mod consuming;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod support;
