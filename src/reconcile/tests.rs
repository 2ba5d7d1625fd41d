//! The whole decision: one situation in, one line out.

use super::testing::*;
use super::*;
use crate::mapping::Kind;
use crate::record::Record;

/// Settles the one field `city` between what was agreed, HubSpot's and Salesforce's value.
fn city(agreed: Option<&str>, h: &str, s: &str) -> String {
    let mapping = mapping(vec![field("city", "city", "City", Kind::Text)]);
    let base = agreed.map_or_else(Base::default, |agreed| text_base("city", agreed));
    let (h, s): (Record, Record) = (hubspot(&[("city", h)]), lead(&[("City", s)]));
    show(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
}

#[test]
fn the_four_cells_of_the_table() {
    insta::assert_snapshot!(city(Some("Bonn"), "Bonn", "Bonn"), @"quiet");
    insta::assert_snapshot!(city(Some("Bonn"), "Ulm", "Bonn"), @"salesforce set City=Ulm | city settled by one side changed (only HubSpot changed) base Ulm");
    insta::assert_snapshot!(city(Some("Bonn"), "Bonn", "Ulm"), @"hubspot set city=Ulm | city settled by one side changed (only Salesforce changed) base Ulm");
    insta::assert_snapshot!(city(Some("Bonn"), "Ulm", "Ulm"), @"city agreed by agreed (no side says otherwise) base Ulm");
    insta::assert_snapshot!(city(Some("Bonn"), "Kiel", "Ulm"), @"city parked by ask (the mapping asks a person) base stays");
}
