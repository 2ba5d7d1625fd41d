//! Do the mappings fit the accounts as they are?
//!
//! What an account has is asked for here, object by object; [`Asked`] then compares one mapping with
//! one object, and every mistake is told in one run.

mod choices;
mod feedback;
mod field;
mod next;
mod object;
mod start;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::mapping::{Kind, Mapping, Spot};
use crate::platform::{Error, ErrorKind, ObjectSchema, Platform};
use crate::record::{PerSide, Side};

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// The mapping's name.
    pub mapping: String,
    /// The side.
    pub side: Side,
    /// The object.
    pub object: String,
    /// The field, by the side's name; none where it is about the object.
    pub field: Option<String>,
    /// Whether it would keep records from being settled, or marketing from hearing of handoffs.
    /// Otherwise it may be as it is meant.
    pub hinders: bool,
    /// What was found.
    pub what: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where the mapping says so.
    #[serde(skip)]
    pub spot: Spot,
}

/// Compares the mappings with what both accounts have. Costs a description for each object, and a
/// count for each choice that a value table does not list.
///
/// # Errors
/// Where a side cannot be asked at all. What it refuses to tell of one object is a misfit.
pub async fn misfits(
    mappings: &[Arc<Mapping>],
    platforms: &PerSide<Arc<dyn Platform>>,
) -> Result<Vec<Misfit>, Error> {
    let scopes = platforms.hubspot.identity().await?.scopes;
    platforms.salesforce.identity().await?;
    let mut found = Vec::new();
    for mapping in mappings {
        missing_scopes(mapping, &scopes, &mut found);
        let schemas = PerSide {
            hubspot: described(mapping, Side::HubSpot, platforms, &mut found).await?,
            salesforce: described(mapping, Side::Salesforce, platforms, &mut found).await?,
        };
        for side in Side::BOTH {
            for (object, schema) in schemas.get(side) {
                let across = schemas.get(side.other());
                let asked = Asked { mapping, side, object, schema, across };
                asked.object_fits(&mut found);
                asked.keys_fit(&mut found);
                asked.feedback_fits(&mut found);
                let fields: Vec<_> =
                    mapping.fields.iter().filter_map(|one| asked.met(one, &mut found)).collect();
                for met in &fields {
                    asked.field_fits(met, &mut found);
                    asked.choices_fit(met, platforms.get(side).as_ref(), &mut found).await?;
                }
                asked.lengths_fit(&fields, &mut found);
            }
        }
        next::steps_fit(mapping, platforms, &mut found).await?;
    }
    Ok(found)
}

/// An object's name in the mapping, and what the account says of it.
type Described = (String, Arc<ObjectSchema>);

/// The descriptions of the mapping's objects on `side`, but for those that the account refuses.
async fn described(
    mapping: &Mapping,
    side: Side,
    platforms: &PerSide<Arc<dyn Platform>>,
    found: &mut Vec<Misfit>,
) -> Result<Vec<Described>, Error> {
    let spec = mapping.sides.get(side);
    let mut described = Vec::new();
    for object in std::iter::once(&spec.object).chain(&spec.becomes) {
        match platforms.get(side).schema(object).await {
            Ok(schema) => described.push((object.clone(), schema)),
            Err(error) if matches!(error.kind, ErrorKind::Request | ErrorKind::Stop) => {
                found.push(Misfit {
                    mapping: mapping.name.clone(),
                    side,
                    object: object.clone(),
                    field: None,
                    hinders: true,
                    what: format!("the account does not describe {object}: {}", error.message),
                    help: error.hint,
                    spot: Spot::Object(side),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(described)
}

/// HubSpot names what the app may do; what a scope is missing for would be refused at the first
/// write.
fn missing_scopes(mapping: &Mapping, scopes: &BTreeSet<String>, found: &mut Vec<Misfit>) {
    // Apps of an older kind have other names for the same rights, which say nothing here.
    if !scopes.iter().any(|scope| scope.starts_with("crm.objects.")) {
        return;
    }
    let object = &mapping.sides.hubspot.object;
    let mut needed = Vec::new();
    if ["contacts", "companies", "deals"].contains(&object.as_str()) {
        needed.push(format!("crm.objects.{object}.read"));
        needed.push(format!("crm.objects.{object}.write"));
    }
    if mapping.fields.iter().any(|field| field.kind == Kind::Owner) {
        needed.push("crm.objects.owners.read".to_owned());
    }
    for scope in needed.into_iter().filter(|scope| !scopes.contains(scope)) {
        found.push(Misfit {
            mapping: mapping.name.clone(),
            side: Side::HubSpot,
            object: object.clone(),
            field: None,
            hinders: true,
            what: format!("the app does not have the scope {scope}"),
            help: Some("give it the scope in HubSpot and sign in again".to_owned()),
            spot: Spot::Object(Side::HubSpot),
        });
    }
}

/// One mapping and one object of one account.
struct Asked<'a> {
    mapping: &'a Mapping,
    side: Side,
    object: &'a str,
    schema: &'a ObjectSchema,
    /// What the mapping's objects of the other side look like.
    across: &'a [Described],
}

impl Asked<'_> {
    /// The misfit of a field by the side's name, or of the object.
    fn misfit(&self, spot: Spot, field: Option<&str>, hinders: bool, what: String) -> Misfit {
        Misfit {
            mapping: self.mapping.name.clone(),
            side: self.side,
            object: self.object.to_owned(),
            field: field.map(str::to_owned),
            hinders,
            what,
            help: None,
            spot,
        }
    }

    /// The misfit of a field that the account does not have.
    fn absent(&self, spot: Spot, name: &str, hinders: bool) -> Misfit {
        let what = format!("{} {} has no field `{name}`", self.side, self.object);
        let known = self.schema.fields.keys().map(String::as_str);
        let hidden = "create it there, or let the signed-in user see it";
        let help = match crate::mapping::diagnostic::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`? Otherwise {hidden}"),
            None => hidden.to_owned(),
        };
        self.misfit(spot, Some(name), hinders, what).help(help)
    }
}

impl Misfit {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
