//! What objects and fields there are.

use serde_json::{Value, json};

use super::Answer;
use super::call::{Call, Reply};
use super::single::http_date;
use crate::sandbox::salesforce::schema::{Field, Kind, Object};
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

impl Org {
    pub(super) fn describe_global(&self, call: &Call) -> Value {
        let sobjects: Vec<Value> = self.objects.values().map(|o| summary(call, o)).collect();
        json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": sobjects})
    }

    /// `GET /sobjects/X`: the object and the newest of its records.
    pub(super) fn object_overview(&self, call: &Call, object: &Object) -> Value {
        let recent: Vec<Value> = self
            .table(&object.name)
            .into_iter()
            .flat_map(|t| t.rows().rev().filter(|r| r.deleted_at.is_none()).take(5))
            .map(|r| {
                json!({
                    "attributes": crate::sandbox::salesforce::soql::attributes(r, &call.version, false),
                    "Id": &*r.id,
                    "Name": r.get(object.name_field()),
                })
            })
            .collect();
        json!({"objectDescribe": summary(call, object), "recentItems": recent})
    }

    pub(super) fn rest_describe(&self, call: &Call, object: &Object) -> Answer {
        let changed = self.schema_changed_at;
        if let Some(since) = http_date(call, "if-modified-since")?
            && changed <= since
        {
            return Ok(Reply::empty(304));
        }
        let body = self.describe(call, object);
        // The platform's tag is opaque; the schema's size and stamp tell two versions apart.
        let etag = format!("\"{:x}-{}\"", changed, object.fields.len());
        if call.header("if-none-match") == Some(etag.as_str()) {
            return Ok(Reply::empty(304));
        }
        Ok(Reply::ok(body).with("etag", etag).with("last-modified", time::http_date(changed)))
    }

    fn describe(&self, call: &Call, object: &Object) -> Value {
        let mut out = summary(call, object);
        let children: Vec<Value> = self
            .objects
            .values()
            .flat_map(|child| child.fields.iter().map(move |field| (child, field)))
            .filter(|(_, field)| field.refers_to.iter().any(|t| **t == *object.name))
            .map(|(child, field)| {
                json!({
                    "cascadeDelete": false,
                    "childSObject": &*child.name,
                    "deprecatedAndHidden": false,
                    "field": &*field.name,
                    "junctionIdListNames": [],
                    "junctionReferenceTo": [],
                    "relationshipName": field.children,
                    "restrictedDelete": false,
                })
            })
            .collect();
        let fields: Vec<Value> =
            object.fields.iter().map(|f| self.describe_field(object, f)).collect();
        if let Value::Object(map) = &mut out {
            map.insert("childRelationships".to_owned(), Value::Array(children));
            map.insert("fields".to_owned(), Value::Array(fields));
            map.insert(
                "recordTypeInfos".to_owned(),
                json!([{
                    "active": true, "available": true, "defaultRecordTypeMapping": true,
                    "developerName": "Master", "master": true, "name": "Master",
                    "recordTypeId": "012000000000000AAA",
                }]),
            );
            map.insert(
                "supportedScopes".to_owned(),
                json!([{"label": "All records", "name": "everything"}]),
            );
        }
        out
    }

    /// In two halves, because the macro has a bound.
    fn describe_field(&self, object: &Object, field: &Field) -> Value {
        let mut out = first_half(object, field);
        if let (Value::Object(out), Value::Object(more)) =
            (&mut out, self.second_half(object, field))
        {
            out.extend(more);
        }
        out
    }

    fn second_half(&self, object: &Object, field: &Field) -> Value {
        let picks: Vec<Value> = self
            .pick_values(&object.name, field)
            .into_iter()
            .map(|v| {
                json!({"active": v.active, "defaultValue": v.default, "label": v.value,
                       "validFor": null, "value": v.value})
            })
            .collect();
        let precision = if field.kind == Kind::Int { 0 } else { field.precision };
        json!({
            "htmlFormatted": false,
            "idLookup": field.id_lookup,
            "inlineHelpText": null,
            "label": field.label,
            "length": field.length,
            "mask": null,
            "maskType": null,
            "name": &*field.name,
            "nameField": &*field.name == object.name_field(),
            "namePointing": field.refers_to.len() > 1,
            "nillable": field.nillable,
            "permissionable": field.nillable && field.createable,
            "picklistValues": picks,
            "polymorphicForeignKey": field.refers_to.len() > 1,
            "precision": precision,
            "queryByDistance": false,
            "referenceTargetField": null,
            "referenceTo": field.refers_to,
            "relationshipName": field.relationship,
            "relationshipOrder": null,
            "restrictedDelete": false,
            "restrictedPicklist": field.restricted,
            "scale": field.scale,
            "searchPrefilterable": false,
            "soapType": field.kind.soap(),
            "sortable": is_plain(field),
            "type": field.kind.wire(),
            "unique": field.unique,
            "updateable": field.updateable,
            "writeRequiresMasterRead": false,
        })
    }
}

fn is_plain(field: &Field) -> bool {
    !field.is_long_text() && field.kind != Kind::Address
}

fn first_half(object: &Object, field: &Field) -> Value {
    let plain = is_plain(field);
    let digits = if field.kind == Kind::Int { field.precision } else { 0 };
    let byte_length = if field.length == 18 { 18 } else { field.length * 3 };
    json!({
        "aggregatable": plain,
        "autoNumber": false,
        "byteLength": byte_length,
        "calculated": field.calculated,
        "calculatedFormula": null,
        "cascadeDelete": false,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": compound_of(object, field),
        "controllerName": null,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": field.default.as_ref().filter(|v| v.is_boolean()),
        "defaultValueFormula": null,
        "defaultedOnCreate": field.defaulted,
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": digits,
        "displayLocationInDecimal": false,
        "encrypted": false,
        "externalId": field.external_id,
        "extraTypeInfo": null,
        "filterable": plain,
        "filteredLookupInfo": null,
        "formulaTreatNullNumberAsZero": false,
        "groupable": plain && !field.kind.is_number() && field.kind != Kind::DateTime,
        "highScaleNumber": false,
    })
}

/// The compound that a field is a part of.
fn compound_of(object: &Object, field: &Field) -> Value {
    if matches!(&*object.name, "Lead" | "Contact" | "User")
        && matches!(&*field.name, "FirstName" | "LastName" | "Salutation")
    {
        return json!("Name");
    }
    const PARTS: [&str; 7] =
        ["Street", "City", "State", "PostalCode", "Country", "Latitude", "Longitude"];
    let compound = object.fields.iter().filter(|f| f.kind == Kind::Address).find(|compound| {
        let stem = compound.name.strip_suffix("Address").unwrap_or(&compound.name);
        field.name.strip_prefix(stem).is_some_and(|rest| PARTS.contains(&rest))
    });
    compound.map_or(Value::Null, |c| json!(&*c.name))
}

fn summary(call: &Call, object: &Object) -> Value {
    let at = format!("/services/data/{}/sobjects/{}", call.version, object.name);
    let writable = object.writable;
    json!({
        "activateable": false,
        "associateEntityType": null,
        "associateParentEntity": null,
        "createable": writable,
        "custom": object.name.ends_with("__c"),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": writable,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": object.prefix,
        "label": object.label,
        "labelPlural": object.plural,
        "layoutable": writable,
        "mergeable": object.mergeable,
        "mruEnabled": writable,
        "name": &*object.name,
        "queryable": true,
        "replicateable": true,
        "retrieveable": true,
        "searchable": writable,
        "triggerable": writable,
        "undeletable": writable,
        "updateable": writable,
        "urls": {
            "rowTemplate": format!("{at}/{{ID}}"),
            "describe": format!("{at}/describe"),
            "sobject": at,
        },
    })
}
