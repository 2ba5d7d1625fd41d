//! What holds for the whole: the borders between rooms, the binary's command line, the unit files,
//! and every command that the README shows.

mod borders;
mod sign_in;
mod source;
