//! Where each thing lives in each version of HubSpot's API.
//!
//! Bodies are the same in all of them for what is used here; only the paths differ. Versions by
//! date appear twice a year and are supported for 18 months; `v3` (and `v4` for associations) end
//! in 2027. (developers.hubspot.com, "API versioning".)

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A version of HubSpot's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiVersion {
    /// The undated paths: `v3`, with `v4` for associations.
    V3,
    /// A version by date: `2026-03`, `2026-09`, `2027-03-beta`.
    Dated(String),
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self::Dated("2026-09".into())
    }
}

/// A text that names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of HubSpot's API: write v3, or a year and a month such as 2026-09")]
pub struct NoVersion(String);

impl FromStr for ApiVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if text.eq_ignore_ascii_case("v3") {
            return Ok(Self::V3);
        }
        let date = text.strip_suffix("-beta").unwrap_or(text);
        let is_date = date.len() == 7
            && date
                .char_indices()
                .all(|(at, c)| if at == 4 { c == '-' } else { c.is_ascii_digit() })
            && date[5..].parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
        if is_date { Ok(Self::Dated(text.into())) } else { Err(NoVersion(text.into())) }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V3 => "v3",
            Self::Dated(date) => date,
        })
    }
}

/// A path and its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// For logs: without ids and values.
    pub route: Cow<'static, str>,
    /// For the request, without a query.
    pub path: String,
}

impl Path {
    fn new(route: String, path: String) -> Self {
        Self { route: Cow::Owned(route), path }
    }

    /// With a query; empty values are left out.
    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        let mut sign = '?';
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            self.path.push(sign);
            self.path.push_str(name);
            self.path.push('=');
            self.path.push_str(&encode(value));
            sign = '&';
        }
        self
    }
}

/// What may stand in a path segment or a query value as it is. The comma separates the names in
/// `properties`, which HubSpot reads with and without encoding.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b',');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// The table of paths of one version.
#[derive(Debug, Clone)]
pub(super) struct Paths(pub ApiVersion);

impl Paths {
    /// `tail` comes after the object's name: `/batch/read`, `/search`, or nothing.
    pub fn objects(&self, object: &str, tail: &'static str) -> Path {
        let root = self.root("objects", "v3");
        Path::new(format!("{root}/{{object}}{tail}"), format!("{root}/{}{tail}", encode(object)))
    }

    /// One record.
    pub fn object(&self, object: &str, id: &str) -> Path {
        let root = self.root("objects", "v3");
        Path::new(
            format!("{root}/{{object}}/{{id}}"),
            format!("{root}/{}/{}", encode(object), encode(id)),
        )
    }

    pub fn properties(&self, object: &str) -> Path {
        let root = self.root("properties", "v3");
        Path::new(format!("{root}/{{object}}"), format!("{root}/{}", encode(object)))
    }

    pub fn owners(&self) -> Path {
        let root = self.root("owners", "v3");
        Path::new(root.clone(), root)
    }

    /// The batch form of associations; `tail` is `read`, `create`, ….
    pub fn associations(&self, from: &str, to: &str, tail: &'static str) -> Path {
        let root = self.root("associations", "v4");
        Path::new(
            format!("{root}/{{from}}/{{to}}/batch/{tail}"),
            format!("{root}/{}/{}/batch/{tail}", encode(from), encode(to)),
        )
    }

    /// One association: `default` for the unlabelled one.
    pub fn association(&self, default: bool, from: (&str, &str), to: (&str, &str)) -> Path {
        let root = self.root("objects", "v4");
        let kind = if default { "/default" } else { "" };
        Path::new(
            format!("{root}/{{from}}/{{id}}/associations{kind}/{{to}}/{{id}}"),
            format!(
                "{root}/{}/{}/associations{kind}/{}/{}",
                encode(from.0),
                encode(from.1),
                encode(to.0),
                encode(to.1)
            ),
        )
    }

    /// One sequence.
    pub fn sequence(&self, id: &str) -> Path {
        let root = self.sequences();
        Path::new(format!("{root}/{{id}}"), format!("{root}/{}", encode(id)))
    }

    /// Where contacts are enrolled in sequences.
    pub fn enrolments(&self) -> Path {
        let path = format!("{}/enrollments", self.sequences());
        Path::new(path.clone(), path)
    }

    /// What a contact is enrolled in.
    pub fn enrolment_of(&self, contact: &str) -> Path {
        let root = format!("{}/enrollments/contact", self.sequences());
        Path::new(format!("{root}/{{id}}"), format!("{root}/{}", encode(contact)))
    }

    /// Sequences have paths by date since 2026-03; those of the later version were others while it was
    /// tried (developers.hubspot.com, "Sequences API", 2026-03 and 2026-09-beta).
    fn sequences(&self) -> String {
        match &self.0 {
            ApiVersion::V3 => "/automation/v4/sequences".to_owned(),
            ApiVersion::Dated(_) => "/automation/sequences/2026-03".to_owned(),
        }
    }

    pub fn account(&self) -> Path {
        let path = format!("/account-info/{}/details", self.0);
        Path::new(path.clone(), path)
    }

    /// What a private app's token may do. It has no dated form.
    pub fn token_info() -> Path {
        let path = TOKEN_INFO.to_owned();
        Path { route: Cow::Borrowed(TOKEN_INFO), path }
    }

    fn root(&self, thing: &str, undated: &str) -> String {
        match &self.0 {
            ApiVersion::V3 => format!("/crm/{undated}/{thing}"),
            ApiVersion::Dated(date) => format!("/crm/{thing}/{date}"),
        }
    }
}

/// The route of [`Paths::token_info`].
pub(super) const TOKEN_INFO: &str = "/oauth/v2/private-apps/get/access-token-info";

/// The type id of an object by any of its names; custom objects are their own.
pub(super) fn type_id(object: &str) -> &str {
    match object {
        "contact" | "contacts" | "0-1" => "0-1",
        "company" | "companies" | "0-2" => "0-2",
        "deal" | "deals" | "0-3" => "0-3",
        "ticket" | "tickets" | "0-5" => "0-5",
        "product" | "products" | "0-7" => "0-7",
        "line_item" | "line_items" | "0-8" => "0-8",
        "task" | "tasks" | "0-27" => "0-27",
        "note" | "notes" | "0-46" => "0-46",
        "call" | "calls" | "0-48" => "0-48",
        "email" | "emails" | "0-49" => "0-49",
        "lead" | "leads" | "0-136" => "0-136",
        other => other,
    }
}

/// The association type that marks the primary record, where a pair of types has one.
/// (developers.hubspot.com, "Association type IDs".)
pub(super) fn primary_type(from: &str, to: &str) -> Option<u32> {
    Some(match (type_id(from), type_id(to)) {
        ("0-1", "0-2") => 1,
        ("0-2", "0-1") => 2,
        ("0-3", "0-2") => 5,
        ("0-2", "0-3") => 6,
        ("0-136", "0-1") => 578,
        ("0-136", "0-2") => 580,
        ("0-136", "0-3") => 582,
        _ => return None,
    })
}

/// The association type from an activity to what it is about. (developers.hubspot.com, "Association
/// type IDs".)
pub(super) fn activity_type(activity: &str, about: &str) -> Option<u32> {
    Some(match (type_id(activity), type_id(about)) {
        ("0-27", "0-1") => 204,
        ("0-27", "0-2") => 192,
        ("0-27", "0-3") => 216,
        ("0-46", "0-1") => 202,
        ("0-46", "0-2") => 190,
        ("0-46", "0-3") => 214,
        _ => return None,
    })
}

/// Whether an object is an activity that is created here. No unique property identifies one.
pub(super) fn is_activity(object: &str) -> bool {
    matches!(type_id(object), "0-27" | "0-46")
}

/// The property that holds a record's time of modification.
pub(super) fn modified_property(object: &str) -> &'static str {
    if type_id(object) == "0-1" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_has_its_place_in_every_version() {
        let all = |version: &str| {
            let paths = Paths(version.parse().unwrap());
            [
                paths.objects("contacts", "/batch/read"),
                paths.object("p1_x y", "a/b"),
                paths.properties("0-2"),
                paths.owners().query(&[("limit", "100"), ("after", ""), ("email", "a+b@c.d")]),
                paths.associations("contacts", "companies", "read"),
                paths.association(true, ("contacts", "1"), ("companies", "2")),
                paths.association(false, ("contacts", "1"), ("companies", "2")),
                paths.account(),
                paths.sequence("4711").query(&[("userId", "51001")]),
                paths.enrolments().query(&[("userId", "51001")]),
                paths.enrolment_of("101"),
            ]
            .map(|path| path.path)
            .join("\n")
        };
        insta::assert_snapshot!(all("v3"), @"
        /crm/v3/objects/contacts/batch/read
        /crm/v3/objects/p1_x%20y/a%2Fb
        /crm/v3/properties/0-2
        /crm/v3/owners?limit=100&email=a%2Bb%40c.d
        /crm/v4/associations/contacts/companies/batch/read
        /crm/v4/objects/contacts/1/associations/default/companies/2
        /crm/v4/objects/contacts/1/associations/companies/2
        /account-info/v3/details
        /automation/v4/sequences/4711?userId=51001
        /automation/v4/sequences/enrollments?userId=51001
        /automation/v4/sequences/enrollments/contact/101
        ");
        insta::assert_snapshot!(all("2026-09"), @"
        /crm/objects/2026-09/contacts/batch/read
        /crm/objects/2026-09/p1_x%20y/a%2Fb
        /crm/properties/2026-09/0-2
        /crm/owners/2026-09?limit=100&email=a%2Bb%40c.d
        /crm/associations/2026-09/contacts/companies/batch/read
        /crm/objects/2026-09/contacts/1/associations/default/companies/2
        /crm/objects/2026-09/contacts/1/associations/companies/2
        /account-info/2026-09/details
        /automation/sequences/2026-03/4711?userId=51001
        /automation/sequences/2026-03/enrollments?userId=51001
        /automation/sequences/2026-03/enrollments/contact/101
        ");
    }

    #[test]
    fn a_route_names_nobody() {
        let paths = Paths(ApiVersion::default());
        let path = paths.object("contacts", "anna@example.com");
        assert_eq!(path.route, "/crm/objects/2026-09/{object}/{id}");
    }

    #[test]
    fn versions_are_read_and_mistakes_are_told() {
        for text in ["v3", "2026-03", "2026-09", "2027-03-beta", "2031-01"] {
            assert_eq!(text.parse::<ApiVersion>().unwrap().to_string(), text);
        }
        for text in
            ["", "v4", "2026-13", "2026-00", "2026/09", "2026-9", "2026-09-rc", "２０２６-09"]
        {
            text.parse::<ApiVersion>().unwrap_err();
        }
        assert_eq!(
            "latest".parse::<ApiVersion>().unwrap_err().to_string(),
            "\"latest\" is no version of HubSpot's API: write v3, or a year and a month such as 2026-09"
        );
    }
}
