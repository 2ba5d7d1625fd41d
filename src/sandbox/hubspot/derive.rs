//! What follows from a change: values that HubSpot computes, and what it does to other records.

use std::sync::Arc;

use super::object::Object;
use super::record::{Record, instant};
use super::world::Account;
use super::write::{Actor, By, Changes};

impl Account {
    /// The values of a new record that the change itself does not bring.
    pub(super) fn defaults(&self, object: Object, changes: &Changes, by: &By) -> Changes {
        let mut all: Changes = Vec::new();
        let mut add = |name: &str, value: &str| all.push((name.into(), value.to_owned()));
        add("hs_object_source", &by.source.kind);
        add("hs_object_source_label", &by.source.kind);
        if let Some(id) = &by.source.id {
            add("hs_object_source_id", id);
        }
        if let Some(user) = by.source.user_id() {
            add("hs_created_by_user_id", &user.to_string());
        }
        if let Some(pipeline) = object.lifecycle_pipeline() {
            let given = changes.iter().any(|(name, _)| &**name == "lifecyclestage");
            if let Some(stage) = self.settings.default_stage.as_deref().filter(|_| !given) {
                add("lifecyclestage", stage);
            }
            add("hs_pipeline", pipeline);
        }
        match object {
            Object::Contact => add("hs_is_unworked", "true"),
            Object::Task => {
                let given = changes.iter().any(|(name, _)| &**name == "hs_task_status");
                if !given {
                    add("hs_task_status", "NOT_STARTED");
                }
                add("hs_task_is_completed", "0");
            }
            Object::Deal => {
                let staged = changes.iter().any(|(name, _)| &**name == "dealstage");
                let given = changes.iter().any(|(name, _)| &**name == "pipeline");
                if staged && !given {
                    add("pipeline", "default");
                }
                add("hs_is_closed", "false");
                add("hs_is_closed_won", "false");
            }
            Object::Company | Object::Note | Object::Call | Object::Email => {}
        }
        all
    }

    /// Completes a change by what follows from it. The second value says that a backward stage was
    /// silently refused: the platform answers as if it had been taken and keeps the old one.
    pub(super) fn derived(
        &self,
        object: Object,
        id: u64,
        changes: &Changes,
        by: &By,
    ) -> (Changes, bool) {
        let Some(record) = self.table(object).records.get(&id) else {
            return (Vec::new(), false);
        };
        let mut all: Changes = Vec::with_capacity(changes.len() + 4);
        let mut refused = false;
        for (name, value) in changes {
            let value = appended(record, name, value);
            if record.stored(name).unwrap_or_default() == value {
                continue;
            }
            if &**name == "lifecyclestage" {
                if by.actor != Actor::Person && self.is_backward(object, record, &value) {
                    refused = true;
                    continue;
                }
                stage_dates(object, record, &value, by, &mut all);
            }
            self.follow(object, record, (name, &value), changes, by, &mut all);
            all.push((Arc::clone(name), value));
        }
        if let Some(user) = by.source.user_id().filter(|_| !all.is_empty()) {
            all.push(("hs_updated_by_user_id".into(), user.to_string()));
        }
        (all, refused)
    }

    fn is_backward(&self, object: Object, record: &Record, value: &str) -> bool {
        let Some(stages) = self.table(object).property("lifecyclestage") else { return false };
        match (record.stored("lifecyclestage").and_then(|old| stages.rank(old)), stages.rank(value))
        {
            (Some(old), Some(new)) => new < old,
            _ => false,
        }
    }

    fn follow(
        &self,
        object: Object,
        record: &Record,
        (name, value): (&str, &str),
        changes: &Changes,
        by: &By,
        all: &mut Changes,
    ) {
        let mut add = |name: &str, value: String| all.push((name.into(), value));
        match (object, name) {
            (_, "hubspot_owner_id") => {
                let at = if value.is_empty() { String::new() } else { instant(by.now) };
                add("hubspot_owner_assigneddate", at);
            }
            (Object::Contact, "email") => {
                let domain = value.split_once('@').map_or("", |(_, domain)| domain);
                add("hs_email_domain", domain.to_owned());
                if let Some(rest) = swapped(record, value) {
                    add("hs_additional_emails", rest);
                }
            }
            (Object::Contact, "phone") => {
                let digits = value.chars().filter(char::is_ascii_digit).collect();
                add("hs_searchable_calculated_phone_number", digits);
            }
            (Object::Company, "domain") => {
                let given = changes.iter().any(|(at, _)| &**at == "website");
                if !given && record.stored("website").is_none() {
                    add("website", value.to_owned());
                }
            }
            (Object::Deal, "dealstage") => {
                let stages = self.pipelines_of(object).iter().flat_map(|at| &at.stages);
                if let Some(stage) = stages.into_iter().find(|stage| stage.id == value) {
                    add("hs_is_closed", stage.is_closed().to_string());
                    add("hs_is_closed_won", stage.is_won().to_string());
                    let likely = stage.metadata.get("probability").cloned();
                    add("hs_deal_stage_probability", likely.unwrap_or_default());
                }
            }
            (Object::Deal, "amount") => add("amount_in_home_currency", value.to_owned()),
            (Object::Task, "hs_task_status") => {
                let done = value == "COMPLETED";
                let at = if done { instant(by.now) } else { String::new() };
                add("hs_task_completion_date", at);
                add("hs_task_is_completed", u8::from(done).to_string());
                if done {
                    add("hs_task_completion_count", "1".to_owned());
                }
            }
            _ => {}
        }
    }

    /// What the platform does on its own after a record was made.
    pub(super) fn after_create(&mut self, object: Object, id: u64, by: &By) {
        if object == Object::Contact && self.settings.companies_from_domains {
            self.join_company_of_domain(id, by);
        }
    }

    /// What the platform does on its own after a record was changed. `before` is its old stage.
    pub(super) fn after_update(&mut self, object: Object, id: u64, before: Option<&str>, by: &By) {
        match object {
            Object::Company if self.settings.company_stage_to_contacts => {
                let stage = self.stored(object, id, "lifecyclestage");
                if let Some(stage) = stage.filter(|stage| before != Some(stage)) {
                    let by = By::platform("COMPANIES", by.now);
                    for contact in self.associations.of(object, id, Object::Contact) {
                        if self.primary_company(contact) == Some(id) {
                            self.advance(Object::Contact, contact, &stage, &by);
                        }
                    }
                }
            }
            Object::Deal if self.settings.deals_move_stage => {
                let won = self.stored(object, id, "hs_is_closed_won");
                if won.as_deref() == Some("true")
                    && before != self.stored(object, id, "dealstage").as_deref()
                {
                    self.move_around_deal(id, "customer", by);
                }
            }
            _ => {}
        }
    }

    /// Moves a deal's contacts and primary company forward to a stage.
    pub(super) fn move_around_deal(&mut self, deal: u64, stage: &str, by: &By) {
        let by = By::platform("DEALS", by.now);
        for object in [Object::Contact, Object::Company] {
            for id in self.associations.of(Object::Deal, deal, object) {
                self.advance(object, id, stage, &by);
            }
        }
    }

    /// An automatic move, which goes forward only.
    fn advance(&mut self, object: Object, id: u64, stage: &str, by: &By) {
        let changes: Changes = vec![("lifecyclestage".into(), stage.to_owned())];
        // A record that is archived by now simply does not move.
        let _ = self.update_checked(object, id, &changes, by);
    }

    fn join_company_of_domain(&mut self, contact: u64, by: &By) {
        const FREE: [&str; 5] =
            ["gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"];
        let Some(domain) = self.stored(Object::Contact, contact, "hs_email_domain") else { return };
        if FREE.contains(&domain.as_str()) {
            return;
        }
        let by = By::platform("COMPANIES", by.now);
        let mut companies = self.table(Object::Company).records.values();
        let known = companies
            .find(|company| company.archived.is_none() && company.stored("domain") == Some(&domain))
            .map(|company| company.id);
        let changes: Changes = vec![("domain".into(), domain)];
        let company = known.or_else(|| self.create_checked(Object::Company, &changes, &by).ok());
        if let Some(company) = company {
            let ends = ((Object::Contact, contact), (Object::Company, company));
            self.associate(ends.0, ends.1, None, &by);
        }
    }

    pub(super) fn stored(&self, object: Object, id: u64, name: &str) -> Option<String> {
        self.table(object).live(id)?.stored(name).map(str::to_owned)
    }
}

/// A leading semicolon adds to a list of values instead of replacing it.
fn appended(record: &Record, name: &str, value: &str) -> String {
    let Some(more) = value.strip_prefix(';') else { return value.to_owned() };
    let mut parts: Vec<&str> =
        record.stored(name).into_iter().flat_map(|old| old.split(';')).collect();
    for part in more.split(';').filter(|part| !part.is_empty()) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(";")
}

/// The secondary addresses after a new primary one was set: if it was secondary before, the two
/// change places.
fn swapped(record: &Record, primary: &str) -> Option<String> {
    let secondary = record.stored("hs_additional_emails")?;
    let mut rest: Vec<&str> = secondary.split(';').filter(|at| *at != primary).collect();
    if rest.len() == secondary.split(';').count() {
        return None;
    }
    rest.extend(record.stored("email"));
    Some(rest.join(";"))
}

fn stage_dates(object: Object, record: &Record, stage: &str, by: &By, all: &mut Changes) {
    let now = instant(by.now);
    if let Some(old) = record.stored("lifecyclestage") {
        all.push((format!("hs_v2_date_exited_{old}").into(), now.clone()));
    }
    if stage.is_empty() {
        return;
    }
    all.push((format!("hs_v2_date_entered_{stage}").into(), now.clone()));
    all.push(("hs_v2_date_entered_current_stage".into(), now));
    // Contacts alone have the older dates, which come back as milliseconds in text.
    if object == Object::Contact {
        let ms = by.now.as_millisecond().to_string();
        all.push((format!("hs_lifecyclestage_{stage}_date").into(), ms));
    }
}
