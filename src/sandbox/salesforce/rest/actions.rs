//! Custom actions: autolaunched flows, started by name. (Actions Developer Guide, "Flow Actions".)

use http::Method;
use serde_json::{Map, Value, json};

use super::Answer;
use super::call::{Call, Reply};
use crate::sandbox::salesforce::flows::Came;
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::world::Org;

/// What the platform says of a fault that nothing in the flow handles.
const FAULT: &str = "An unhandled fault has occurred in this flow\nAn unhandled fault has occurred \
                     while processing the flow.  Please contact your system administrator for more \
                     information.";

impl Org {
    pub(super) fn rest_flows(&self, call: &Call) -> Answer {
        let at = format!("/services/data/{}/actions/custom/flow", call.version);
        let shown = self.flows.iter().filter(|(_, flow)| flow.active).map(|(name, flow)| {
            json!({"label": flow.label, "name": name, "type": "FLOW", "url": format!("{at}/{name}")})
        });
        Ok(Reply::ok(json!({"actions": shown.collect::<Vec<_>>()})))
    }

    pub(super) fn rest_flow(&mut self, call: &Call, name: &str) -> Answer {
        let missing = || Refusal::call(Code::NotFound, "The requested resource does not exist");
        let Some((name, flow)) = self.active_flow(name) else {
            // The documentation says both that only active flows are started and that the newest
            // version runs where none is active.
            let inactive = self.flows.keys().any(|own| own.eq_ignore_ascii_case(name));
            return if inactive { Ok(Reply::not_modelled()) } else { Err(missing()) };
        };
        if call.method != Method::POST {
            let inputs: Vec<Value> = flow
                .inputs
                .iter()
                .map(|it| {
                    json!({"apexClass": null, "byteLength": 0, "description": null, "label": it.name,
                        "maxOccurs": 1, "name": it.name, "picklistValues": null,
                        "required": it.required, "sobjectType": null, "type": it.kind})
                })
                .collect();
            let output = json!({"description": null, "label": "Flow Interview Status", "maxOccurs": 1,
                "name": "Flow__InterviewStatus", "type": "PICKLIST"});
            return Ok(Reply::ok(
                json!({"description": null, "inputs": inputs, "label": flow.label,
                "name": name, "outputs": [output], "standard": false, "targetEntityName": null,
                "type": "FLOW"}),
            ));
        }
        let name = name.to_owned();
        self.start_flows(call, &name)
    }

    fn start_flows(&mut self, call: &Call, name: &str) -> Answer {
        let body = call.object()?;
        let Some(Value::Array(all)) = body.get("inputs") else {
            let message = "The request has no list of inputs";
            return Ok(Reply {
                unmodelled: true,
                ..Refusal::call(Code::InvalidRequest, message).into()
            });
        };
        let mut results = Vec::new();
        let (mut sound, mut unmodelled) = (true, false);
        for (order, inputs) in all.iter().enumerate() {
            let inputs = inputs.as_object().cloned().unwrap_or_default();
            let came = self.run_flow(name, &call.write(), inputs);
            sound &= matches!(came, Came::To(_));
            unmodelled |= matches!(came, Came::Unfit(_));
            results.push(result((name, order), call, came));
        }
        let reply = Reply::json(if sound { 200 } else { 400 }, Value::Array(results));
        // How the platform refuses inputs that do not fit is not known; that it does, is.
        Ok(Reply { unmodelled, ..reply })
    }
}

fn result((name, order): (&str, usize), call: &Call, came: Came) -> Value {
    let error =
        |code: &str, message: &str| json!([{"statusCode": code, "message": message, "fields": []}]);
    let (errors, outputs) = match &came {
        Came::To(status) => {
            let guid = format!("{:032x}-{:04x}", call.now.as_nanosecond(), order + 1);
            let outputs: Map<String, Value> = [
                ("Flow__InterviewGuid".to_owned(), json!(guid)),
                ("Flow__InterviewStatus".to_owned(), json!(status)),
            ]
            .into_iter()
            .collect();
            (Value::Null, Value::Object(outputs))
        }
        Came::Fault => (error("UNKNOWN_EXCEPTION", FAULT), Value::Null),
        Came::Unfit(message) => (error("INVALID_API_INPUT", message), Value::Null),
    };
    json!({"actionName": name, "errors": errors, "invocationId": null,
        "isSuccess": matches!(came, Came::To(_)), "outcome": null, "outputValues": outputs,
        "sortOrder": order, "version": 1})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::salesforce::flows::{Deed, Flow};
    use crate::sandbox::salesforce::testing::Rig;

    #[tokio::test(start_paused = true)]
    async fn a_flow_is_listed_described_and_run() {
        let rig = Rig::new();
        let lead = rig.lead("King").await;
        {
            let org = &mut rig.sandbox.world().salesforce;
            let sets = Flow::taking(&["recordId", "reason"]).setting("recordId", "Title", "reason");
            org.flows.insert("Handed_Off".to_owned(), sets);
            let off = Flow { active: false, ..Flow::taking(&[]) };
            org.flows.insert("Old".to_owned(), off);
            let waits = Flow { does: Deed::Pause, ..Flow::taking(&[]) };
            org.flows.insert("Waits".to_owned(), waits);
        }
        let listed = rig.get("actions/custom/flow").await.json();
        let names: Vec<&str> = listed["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["Handed_Off", "Waits"]);
        let own = rig.get("actions/custom/flow/handed_off").await.json();
        assert_eq!(
            (&own["name"], &own["inputs"][1]["name"]),
            (&json!("Handed_Off"), &json!("reason"))
        );

        let start = |name: &str, inputs: Value| {
            let path = format!("actions/custom/flow/{name}");
            let rig = &rig;
            async move { rig.call(Method::POST, &path, json!({"inputs": inputs})).await }
        };
        let ran = start("Handed_Off", json!([{"recordId": &*lead, "reason": "Countess"}])).await;
        assert_eq!((ran.status, &ran.json()[0]["isSuccess"]), (200, &json!(true)));
        assert_eq!(ran.json()[0]["outputValues"]["Flow__InterviewStatus"], json!("Finished"));
        assert_eq!(rig.value(&lead, "Title"), json!("Countess"));
        let waits = start("Waits", json!([{}])).await.json();
        assert_eq!(waits[0]["outputValues"]["Flow__InterviewStatus"], json!("Waiting"));

        // One that fails does not keep back the other, and the call says 400.
        let inputs =
            json!([{"recordId": "00Q", "reason": "x"}, {"recordId": &*lead, "reason": "Duke"}]);
        let both = start("Handed_Off", inputs).await;
        assert_eq!(both.status, 400);
        assert_eq!(both.json()[0]["errors"][0]["statusCode"], json!("UNKNOWN_EXCEPTION"));
        assert_eq!(both.json()[1]["isSuccess"], json!(true));
        assert_eq!(rig.value(&lead, "Title"), json!("Duke"));
        let strange = start("Handed_Off", json!([{"record": "00Q"}])).await;
        assert_eq!((strange.status, &strange.json()[0]["isSuccess"]), (400, &json!(false)));
        for missing in ["Old", "None"] {
            let refused = start(missing, json!([{}])).await;
            assert_eq!(
                (refused.status, refused.error().0.as_str()),
                (404, "NOT_FOUND"),
                "{missing}"
            );
        }
        let runs = rig.sandbox.world().salesforce.flows["Handed_Off"].runs.len();
        assert_eq!(runs, 3, "a run that failed counts, one that never began does not");
    }
}
