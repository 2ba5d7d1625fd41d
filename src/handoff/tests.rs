mod course;
mod figures;
mod time;
mod turns;
