//! Lockstep keeps HubSpot and Salesforce telling the same story about every lead.

pub mod cli;
pub mod daemon;
pub mod journal;
pub mod mapping;
pub mod platform;
pub mod reconcile;
pub mod record;
pub mod sandbox;
pub mod settings;
