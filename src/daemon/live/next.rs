//! What a handoff's further next steps and touches need: is it there, and can it be used?

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Misfit;
use crate::mapping::diagnostic::nearest;
use crate::mapping::handoff::{CampaignSpec, HubSpotTaskSpec, NextStep};
use crate::mapping::{Mapping, Spot};
use crate::platform::{Ask, Error, ErrorKind, Owner, Platform};
use crate::record::{PerSide, Raw, Record, Side};

/// Compares what the mapping's further next steps and touches need with both accounts.
pub(super) async fn steps_fit(
    mapping: &Mapping,
    platforms: &PerSide<Arc<dyn Platform>>,
    found: &mut Vec<Misfit>,
) -> Result<(), Error> {
    let Some(spec) = &mapping.handoff else { return Ok(()) };
    let mut telling = Telling { mapping, found };
    if spec.touch.hubspot {
        telling.touches_fit(platforms.hubspot.as_ref()).await?;
    }
    if let Some(task) = &spec.hubspot_task {
        telling.task_fits(task, platforms.hubspot.as_ref()).await?;
    }
    if let Some(task) = &spec.queue_task {
        telling.queue_fits(&task.queue, platforms.salesforce.as_ref()).await?;
    }
    if let Some(campaign) = &spec.campaign {
        telling.campaign_fits(campaign, platforms.salesforce.as_ref()).await?;
    }
    if let Some(flow) = &spec.flow {
        telling.flow_fits(flow, platforms.salesforce.as_ref()).await?;
    }
    if let Some(sequence) = &spec.sequence {
        telling.sequence_fits(sequence, platforms.hubspot.as_ref()).await?;
    }
    Ok(())
}

pub(super) struct Telling<'a> {
    mapping: &'a Mapping,
    found: &'a mut Vec<Misfit>,
}

impl Telling<'_> {
    pub(super) fn tell(
        &mut self,
        (step, key): (NextStep, &'static str),
        (object, field): (&str, Option<&str>),
        hinders: bool,
        what: String,
        help: impl Into<String>,
    ) {
        self.found.push(Misfit {
            mapping: self.mapping.name.clone(),
            side: step.side(),
            object: object.to_owned(),
            field: field.map(str::to_owned),
            hinders,
            what,
            help: Some(help.into()),
            spot: Spot::Handoff(step.key(), key),
        });
    }

    async fn touches_fit(&mut self, hubspot: &dyn Platform) -> Result<(), Error> {
        for object in ["calls", "emails"] {
            match hubspot.schema(object).await {
                Ok(_) => {}
                Err(error) if is_refusal(&error) => self.found.push(Misfit {
                    mapping: self.mapping.name.clone(),
                    side: Side::HubSpot,
                    object: object.to_owned(),
                    field: None,
                    hinders: true,
                    what: format!("the account does not describe {object}: {}", error.message),
                    help: error.hint,
                    spot: Spot::Handoff("touch", "hubspot"),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn task_fits(
        &mut self,
        task: &HubSpotTaskSpec,
        hubspot: &dyn Platform,
    ) -> Result<(), Error> {
        let step = NextStep::HubSpotTask;
        let schema = match hubspot.schema("tasks").await {
            Ok(schema) => schema,
            Err(error) if is_refusal(&error) => {
                let what = format!("the account does not describe tasks: {}", error.message);
                let help = error.hint.unwrap_or_else(|| "let the app see tasks".to_owned());
                self.tell((step, ""), ("tasks", None), true, what, help);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (key, name, value) in [
            ("type", "hs_task_type", Some(task.kind.as_str())),
            ("priority", "hs_task_priority", Some(task.priority)),
            ("queue", "hs_queue_membership_ids", task.queue.as_deref()),
        ] {
            let Some(value) = value else { continue };
            let place = ("tasks", Some(name));
            let Some(field) = schema.fields.get(name) else {
                let what = format!("HubSpot tasks has no field `{name}`");
                self.tell((step, key), place, true, what, format!("leave `{key}` out"));
                continue;
            };
            let known: Vec<&str> = field.choices.iter().map(|it| it.value.as_str()).collect();
            if !known.is_empty() && !known.contains(&value) {
                let what = format!("HubSpot tasks's `{name}` has no choice {value:?}");
                let help = format!("write one of {}", known.join(", "));
                self.tell((step, key), place, true, what, help);
            } else if !field.updatable {
                let what = format!("HubSpot tasks's `{name}` cannot be written");
                self.tell((step, key), place, true, what, format!("leave `{key}` out"));
            }
        }
        Ok(())
    }

    /// The queue is there, and may own tasks.
    async fn queue_fits(&mut self, name: &str, salesforce: &dyn Platform) -> Result<(), Error> {
        let (place, key) = (("Task", Some("OwnerId")), (NextStep::QueueTask, "queue"));
        let queues: Vec<Owner> =
            salesforce.owners().await?.into_iter().filter(|owner| owner.queue).collect();
        let names: BTreeSet<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
        let Some(queue) = queues.iter().find(|queue| queue.name == name) else {
            let help = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None if names.is_empty() => "create it in Setup, Queues".to_owned(),
                None => format!("it has {}; or create it in Setup, Queues", listed(&names)),
            };
            let what = format!("Salesforce has no queue called {name:?}, or hides it");
            self.tell(key, place, true, what, help);
            return Ok(());
        };
        let ask = Ask {
            object: "QueueSobject".to_owned(),
            fields: ["SobjectType".to_owned()].into(),
            stamps: BTreeSet::new(),
        };
        let setup = "in Setup, Queues, Supported Objects";
        match salesforce.find(&ask, "QueueId", std::slice::from_ref(&queue.id)).await {
            Ok(found) => {
                if !found.iter().any(|it| it.get("SobjectType").as_text() == Some("Task")) {
                    let what = format!("Salesforce's queue {name:?} may not own tasks");
                    self.tell(key, place, true, what, format!("add Task to it {setup}"));
                }
            }
            Err(error) if is_refusal(&error) => {
                let what = format!(
                    "whether Salesforce's queue {name:?} may own tasks is not shown: {}",
                    error.message
                );
                self.tell(key, place, false, what, format!("see that it lists Task {setup}"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn campaign_fits(
        &mut self,
        campaign: &CampaignSpec,
        salesforce: &dyn Platform,
    ) -> Result<(), Error> {
        let step = NextStep::Campaign;
        let right = "give the signed-in user the right to read campaigns and the permission \
                     \"Marketing User\"";
        if let Err(error) = salesforce.schema("CampaignMember").await {
            if !is_refusal(&error) {
                return Err(error);
            }
            let what = format!("the account does not describe CampaignMember: {}", error.message);
            self.tell((step, "id"), ("CampaignMember", None), true, what, right);
            return Ok(());
        }
        let ask = Ask {
            object: "Campaign".to_owned(),
            fields: ["IsActive".to_owned()].into(),
            stamps: BTreeSet::new(),
        };
        let read = match salesforce.read(&ask, std::slice::from_ref(&campaign.id)).await {
            Ok(read) => read.into_iter().next().flatten().filter(|record| !record.deleted),
            Err(error) if is_refusal(&error) => None,
            Err(error) => return Err(error),
        };
        let place = ("Campaign", None);
        match read {
            None => {
                let what = format!("Salesforce has no Campaign {}, or hides it", campaign.id);
                let help = format!("correct the id, or {right}");
                self.tell((step, "id"), place, true, what, help);
            }
            Some(record) => {
                if *record.get("IsActive") == Raw::Bool(false) {
                    let what = format!("Salesforce's Campaign {} is not active", campaign.id);
                    self.tell((step, "id"), place, false, what, "activate it, or name another one");
                }
                if let Some(status) = &campaign.status {
                    self.status_fits(&campaign.id, status, salesforce).await?;
                }
            }
        }
        Ok(())
    }

    /// The member's status is one of the campaign's: another one is not refused, but becomes the
    /// default. (Object Reference, CampaignMember, usage: "the API assigns the default status")
    async fn status_fits(
        &mut self,
        campaign: &str,
        status: &str,
        salesforce: &dyn Platform,
    ) -> Result<(), Error> {
        let (place, key) = (("CampaignMember", Some("Status")), (NextStep::Campaign, "status"));
        let ask = Ask {
            object: "CampaignMemberStatus".to_owned(),
            fields: ["Label", "IsDefault"].map(str::to_owned).into(),
            stamps: BTreeSet::new(),
        };
        let id = campaign.to_owned();
        let found = match salesforce.find(&ask, "CampaignId", std::slice::from_ref(&id)).await {
            Ok(found) => found,
            Err(error) if is_refusal(&error) => {
                let what = format!(
                    "which member statuses Salesforce's Campaign {campaign} has is not shown: {}",
                    error.message
                );
                let help = format!("see that {status:?} is one of them on the campaign's page");
                self.tell(key, place, false, what, help);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let label = |row: &Record| row.get("Label").as_text().unwrap_or_default().to_owned();
        let labels: BTreeSet<String> = found.iter().map(label).collect();
        if labels.contains(status) {
            return Ok(());
        }
        let labels: BTreeSet<&str> = labels.iter().map(String::as_str).collect();
        let default = found.iter().find(|row| *row.get("IsDefault") == Raw::Bool(true)).map(label);
        let taken = default.map_or_else(String::new, |default| {
            format!("; Salesforce would take {default:?} without a word")
        });
        let what = format!("Salesforce's Campaign {campaign} has no member status {status:?}");
        let help = match nearest(status, labels.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it has {}{taken}", listed(&labels)),
        };
        self.tell(key, place, true, what, help);
        Ok(())
    }
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Request | ErrorKind::Stop)
}
