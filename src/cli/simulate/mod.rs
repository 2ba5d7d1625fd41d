//! The simulation: the daemon's own code in one thread on virtual time, from one seed.
//!
//! The real clients call the sandbox's routers in process, the journal lies in a memory that loses
//! what was not synced, people edit both sides, faults strike calls, and the process ends between
//! any two steps. Once the faults have stopped, what must hold is checked.

mod check;
mod persons;
mod run;
mod seams;

#[cfg(test)]
mod tests;
