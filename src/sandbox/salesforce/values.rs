//! What a field accepts: the incoming JSON value to the stored one, or the platform's refusal.

use serde_json::{Map, Value, json};

use super::id;
use super::refusal::{Code, Refusal};
use super::schema::{Field, Kind, Object};
use super::table::Record;
use super::time;
use super::world::Org;

/// Whether a record is being made or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Update,
}

impl Org {
    /// Checks and converts the values of a request, in the order in which they were sent. `free`
    /// lets the platform's own writes set read-only fields.
    pub(super) fn accept(
        &self,
        object: &Object,
        values: &Map<String, Value>,
        verb: Verb,
        free: bool,
    ) -> Result<Vec<(std::sync::Arc<str>, Value)>, Refusal> {
        let mut accepted = Vec::with_capacity(values.len());
        let mut refused: Vec<&str> = Vec::new();
        for (name, value) in values {
            if name == "attributes" || name.eq_ignore_ascii_case("id") {
                continue;
            }
            if let Some(inner) = value.as_object() {
                accepted.push(self.by_foreign_key(object, name, inner)?);
                continue;
            }
            let Some(field) = object.field(name) else {
                let message = format!("No such column '{name}' on sobject of type {}", object.name);
                return Err(Refusal::call(Code::InvalidField, message));
            };
            let allowed = match verb {
                Verb::Create => field.createable,
                Verb::Update => field.updateable,
            };
            if !allowed && !free {
                refused.push(&field.name);
                continue;
            }
            accepted.push((field.name.clone(), self.coerce(object, field, value)?));
        }
        if refused.is_empty() {
            return Ok(accepted);
        }
        let message = format!(
            "Unable to create/update fields: {}. Please check the security settings of this field and \
             verify that it is read/write for your profile or permission set.",
            refused.join(", ")
        );
        Err(Refusal::row(Code::InvalidFieldForInsertUpdate, message, &refused))
    }

    /// `"Account": {"Ext__c": "7"}`: the reference to the record with that external id.
    fn by_foreign_key(
        &self,
        object: &Object,
        name: &str,
        inner: &Map<String, Value>,
    ) -> Result<(std::sync::Arc<str>, Value), Refusal> {
        let Some(field) = object.way_up(name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name);
            return Err(Refusal::call(Code::InvalidField, message));
        };
        let keys = inner.iter().filter(|(k, _)| *k != "attributes");
        for (key, value) in keys {
            for target in &field.refers_to {
                let Some(target) = self.object(target) else { continue };
                let Some(key_field) = target.field(key).filter(|f| f.external_id || f.id_lookup)
                else {
                    continue;
                };
                let found = self.find_by_key(target, key_field, value);
                if let [one] = found.as_slice() {
                    return Ok((field.name.clone(), json!(&*one.id)));
                }
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let message = format!(
                    "Foreign key external ID: {shown} not found for field {} in entity {}",
                    key_field.name, target.name
                );
                return Err(Refusal::row(Code::InvalidField, message, &[]));
            }
        }
        let message =
            format!("{name}: a relationship needs one external id of the record it points to");
        Err(Refusal::row(Code::InvalidField, message, &[]))
    }

    /// The seen, living records with this value in an indexed field.
    pub(super) fn find_by_key(
        &self,
        object: &Object,
        field: &Field,
        value: &Value,
    ) -> Vec<std::sync::Arc<Record>> {
        let Some(table) = self.table(&object.name) else { return Vec::new() };
        if field.kind == Kind::Id {
            let found = value.as_str().and_then(id::normalise).and_then(|id| self.seen(&id));
            return found
                .filter(|r| r.deleted_at.is_none() && r.object == object.name)
                .cloned()
                .into_iter()
                .collect();
        }
        let coerced = self.coerce(object, field, value).unwrap_or_else(|_| value.clone());
        let Some(key) = super::table::lookup_key(&coerced) else { return Vec::new() };
        table
            .holding(&field.name, &key)
            .filter_map(|id| self.seen(id))
            .filter(|r| r.deleted_at.is_none())
            .cloned()
            .collect()
    }

    /// One value for one field.
    pub(super) fn coerce(
        &self,
        object: &Object,
        field: &Field,
        value: &Value,
    ) -> Result<Value, Refusal> {
        if value.is_null() {
            if field.kind == Kind::Boolean {
                return Err(cannot_read(field, value));
            }
            return Ok(Value::Null);
        }
        match field.kind {
            Kind::Boolean => match value {
                Value::Bool(_) => Ok(value.clone()),
                Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(json!(true)),
                Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(json!(false)),
                _ => Err(cannot_read(field, value)),
            },
            Kind::Int | Kind::Double | Kind::Currency | Kind::Percent => number(field, value),
            Kind::Date => {
                let day =
                    value.as_str().map(|t| t.get(..10).unwrap_or(t)).and_then(time::parse_date);
                match (value.as_str(), day) {
                    (Some(""), _) => Ok(Value::Null),
                    (_, Some(day)) => Ok(json!(day.to_string())),
                    _ => Err(cannot_read(field, value)),
                }
            }
            Kind::DateTime => match value.as_str() {
                Some("") => Ok(Value::Null),
                Some(text) => time::parse_datetime(text)
                    .or_else(|| {
                        time::parse_date(text)
                            .and_then(|_| time::parse_datetime(&format!("{text}T00:00:00Z")))
                    })
                    .map(|s| json!(time::datetime(s)))
                    .ok_or_else(|| cannot_read(field, value)),
                None => Err(cannot_read(field, value)),
            },
            Kind::Reference | Kind::Id => self.reference(object, field, value),
            Kind::Address => Err(cannot_read(field, value)),
            _ => self.text(object, field, value),
        }
    }

    fn text(&self, object: &Object, field: &Field, value: &Value) -> Result<Value, Refusal> {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(cannot_read(field, value)),
        };
        if text.is_empty() {
            return Ok(Value::Null);
        }
        if field.length > 0 && text.chars().count() > field.length {
            let message = format!(
                "{}: data value too large: {text} (max length={})",
                field.label, field.length
            );
            return Err(Refusal::row(Code::StringTooLong, message, &[&field.name]));
        }
        match field.kind {
            Kind::Email if !is_email(&text) => {
                let message = format!("{}: invalid email address: {text}", field.label);
                Err(Refusal::row(Code::InvalidEmailAddress, message, &[&field.name]))
            }
            Kind::Picklist | Kind::MultiPicklist => self.pick(object, field, &text),
            _ => Ok(json!(text)),
        }
    }

    /// Picklist values are matched without case and stored as the list spells them.
    fn pick(&self, object: &Object, field: &Field, text: &str) -> Result<Value, Refusal> {
        let offered = self.pick_values(&object.name, field);
        let parts: Vec<&str> = if field.kind == Kind::MultiPicklist {
            text.split(';').map(str::trim).collect()
        } else {
            vec![text]
        };
        let mut spelled = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|p| !p.is_empty()) {
            match offered.iter().find(|v| v.active && v.value.eq_ignore_ascii_case(part)) {
                Some(value) => spelled.push(value.value.clone()),
                None if field.restricted => {
                    let message =
                        format!("{}: bad value for restricted picklist field: {part}", field.label);
                    return Err(Refusal::row(
                        Code::InvalidOrNullForRestrictedPicklist,
                        message,
                        &[&field.name],
                    ));
                }
                None => spelled.push(part.to_owned()),
            }
        }
        Ok(json!(spelled.join(";")))
    }

    fn reference(&self, object: &Object, field: &Field, value: &Value) -> Result<Value, Refusal> {
        let Some(text) = value.as_str() else { return Err(cannot_read(field, value)) };
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let wrong = || {
            let message = format!("{}: id value of incorrect type: {text}", field.label);
            Refusal::row(Code::MalformedId, message, &[&field.name])
        };
        let id = id::normalise(text).ok_or_else(wrong)?;
        let fits = field
            .refers_to
            .iter()
            .filter_map(|name| self.object(name))
            .any(|target| id.starts_with(&target.prefix));
        if !fits {
            return Err(wrong());
        }
        let Some(target) = self.seen(&id) else {
            return Err(Refusal::row(
                Code::InvalidCrossReferenceKey,
                "invalid cross reference id",
                &[&field.name],
            ));
        };
        if target.deleted_at.is_some() {
            return Err(Refusal::row(Code::EntityIsDeleted, "entity is deleted", &[]));
        }
        if &*field.name == "OwnerId" && &*target.object == "User" && !target.flag("IsActive") {
            let message = format!(
                "operation performed with inactive user [{id}] as owner of {}",
                object.name.to_lowercase()
            );
            return Err(Refusal::row(Code::InactiveOwnerOrUser, message, &[]));
        }
        if &*field.name == "OwnerId"
            && &*target.object == "Group"
            && !self.queue_supports(&id, &object.name)
        {
            // The text is what flows and clients report; whether the platform names the field is not
            // known, and so a client cannot count on it here.
            let message = "Queue not associated with this SObject type";
            return Err(Refusal::row(Code::InvalidOperation, message, &[]));
        }
        Ok(json!(&*id))
    }
}

/// Text that a JSON number or date cannot be read from.
fn cannot_read(field: &Field, value: &Value) -> Refusal {
    let found = match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    let kind = field.kind.soap().rsplit(':').next().unwrap_or("string");
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let message = format!(
        "Cannot deserialize instance of {kind} from {found} value {shown} or request may be missing a \
         required field"
    );
    Refusal::call(Code::JsonParserError, message)
}

fn number(field: &Field, value: &Value) -> Result<Value, Refusal> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return Ok(Value::Null),
        Value::String(text) => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
        _ => None,
    };
    let Some(number) = number else { return Err(cannot_read(field, value)) };
    let whole_digits = i32::try_from(field.precision.saturating_sub(field.scale)).unwrap_or(18);
    if number.abs() >= 10_f64.powi(whole_digits) {
        let message =
            format!("{}: value outside of valid range on numeric field: {number}", field.label);
        return Err(Refusal::row(Code::NumberOutsideValidRange, message, &[&field.name]));
    }
    if field.kind == Kind::Int {
        if number.fract() != 0.0 {
            return Err(cannot_read(field, value));
        }
        // The range check above keeps the number far below where the cast could lose digits.
        #[expect(clippy::cast_possible_truncation, reason = "at most nine digits")]
        return Ok(json!(number as i64));
    }
    // The platform rounds half up to the field's scale and prints a decimal point.
    let factor = 10_f64.powi(i32::try_from(field.scale).unwrap_or(0));
    let rounded = if field.scale >= 15 { number } else { (number * factor).round() / factor };
    Ok(json!(rounded))
}

/// What the platform accepts as an address is close to this.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| !c.is_whitespace() && !"@<>(),;:\"[]\\".contains(c))
    };
    plain(local)
        && plain(domain)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !domain.contains("..")
}
