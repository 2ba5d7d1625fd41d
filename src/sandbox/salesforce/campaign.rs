//! What status a campaign's members have.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::Record;
use super::time;
use super::world::Org;

/// The statuses that every new campaign has: label, default, responded.
const STATUSES: [(&str, bool, bool); 2] = [("Sent", true, false), ("Responded", false, true)];

impl Org {
    /// Gives a new campaign its statuses.
    pub(super) fn add_member_statuses(&mut self, now: Timestamp, campaign: &str) {
        for (order, (label, default, responded)) in STATUSES.iter().enumerate() {
            let values = json!({
                "CampaignId": campaign, "Label": label, "IsDefault": default,
                "HasResponded": responded, "SortOrder": order + 1,
            });
            self.seed(now, "CampaignMemberStatus", None, values);
        }
    }

    /// A status that the campaign does not have becomes its default without a word; where it has no
    /// default, the status stays as it was sent and is no response. (Object Reference, CampaignMember,
    /// usage; that the API really does so in every org is not proved here, as reports from the field
    /// differ.)
    pub(super) fn member_status(&self, row: &mut Record, now: Timestamp) {
        let campaign = row.text("CampaignId").unwrap_or_default();
        let statuses = self.children("CampaignMemberStatus", "CampaignId", campaign);
        let sent = row.text("Status");
        let named = |status: &&std::sync::Arc<Record>| {
            let label = status.text("Label").unwrap_or_default();
            sent.is_some_and(|sent| sent.eq_ignore_ascii_case(label))
        };
        let status = statuses
            .iter()
            .find(named)
            .or_else(|| statuses.iter().find(|status| status.flag("IsDefault")));
        let responded = status.is_some_and(|status| status.flag("HasResponded"));
        if let Some(status) = status {
            row.set("Status", status.get("Label").clone());
        }
        row.set("HasResponded", json!(responded));
        if !responded {
            row.set("FirstRespondedDate", Value::Null);
        } else if row.get("FirstRespondedDate").is_null() {
            row.set("FirstRespondedDate", json!(time::date(time::seconds(now))));
        }
    }
}
