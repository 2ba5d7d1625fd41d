//! Queues: which objects they may own, and who is in them.

use jiff::Timestamp;
use serde_json::json;

use super::id::Id;
use super::world::Org;

impl Org {
    /// Adds a queue as Setup does, with the objects that it supports and its members, and returns the
    /// id. With `id` `None` a new one is made.
    pub fn seed_queue(
        &mut self,
        now: Timestamp,
        id: Option<Id>,
        name: &str,
        supports: &[&str],
        members: &[Id],
    ) -> Id {
        let developer_name = name.replace(' ', "_");
        let values = json!({"Name": name, "DeveloperName": developer_name, "Type": "Queue"});
        let queue = self.seed(now, "Group", id, values);
        for object in supports {
            let values = json!({"QueueId": &*queue, "SobjectType": object});
            self.seed(now, "QueueSobject", None, values);
        }
        for member in members {
            let values = json!({"GroupId": &*queue, "UserOrGroupId": &**member});
            self.seed(now, "GroupMember", None, values);
        }
        queue
    }

    /// Whether records of an object may belong to a queue.
    pub(super) fn queue_supports(&self, queue: &str, object: &str) -> bool {
        let supported = self.children("QueueSobject", "QueueId", queue);
        supported.iter().any(|row| row.text("SobjectType") == Some(object))
    }

    /// Whether a user is in a queue.
    pub(super) fn is_member(&self, queue: &str, user: &str) -> bool {
        let members = self.children("GroupMember", "GroupId", queue);
        members.iter().any(|row| row.text("UserOrGroupId") == Some(user))
    }
}
