//! The org's allowances and the header that tells about them.

use serde_json::{Value, json};

use crate::sandbox::salesforce::world::Org;

impl Org {
    /// `GET /limits`.
    pub(super) fn limits(&self) -> Value {
        let max = self.settings.daily_requests;
        let remaining = max.saturating_sub(self.usage.used());
        let whole = |max: u64| json!({"Max": max, "Remaining": max});
        json!({
            "ConcurrentAsyncGetReportInstances": whole(200),
            "DailyApiRequests": {"Max": max, "Remaining": remaining},
            "DailyAsyncApexExecutions": whole(250_000),
            "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000_u64.saturating_sub(self.jobs.ingested())},
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000_u64.saturating_sub(self.jobs.queried())},
            "DailyDeliveredPlatformEvents": {
                "Max": self.bus.settings.daily_deliveries,
                "Remaining": self.bus.settings.daily_deliveries.saturating_sub(self.bus.delivered_today()),
            },
            "DailyStandardVolumePlatformEvents": whole(10_000),
            "DataStorageMB": whole(1024),
            "FileStorageMB": whole(1024),
            "HourlyPublishedPlatformEvents": whole(50_000),
            "SingleEmail": whole(15),
        })
    }

    /// `sforce-limit-info`, in the long form once the app has an allowance of its own.
    pub(in crate::sandbox::salesforce) fn limit_info(&self) -> String {
        let used = self.usage.used();
        let max = self.settings.daily_requests;
        match &self.settings.app_limit {
            Some((own, name)) => {
                format!("api-usage={used}/{max}; per-app-api-usage={used}/{own}(appName={name})")
            }
            None => format!("api-usage={used}/{max}"),
        }
    }
}
