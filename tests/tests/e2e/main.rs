//! The real binary and the simulator, from the customer's message to the reply on the phone, on good
//! days and on bad ones.

#[cfg(test)]
mod bad_days;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod described;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod odd_bodies;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod sandbox;
