//! What every crate of the host speaks: identifiers, time, the operation context and reasons. No IO, no protocol.

mod alarm;
mod clock;
mod cx;
mod id;
mod reason;

pub use alarm::{AlarmLevel, Alarms, LogAlarms};
pub use clock::{Clock, SimClock, SystemClock, UnixMs};
pub use cx::{Actor, Locale, OpCx};
pub use id::{
    ApprovalId, GroupId, ParseIdError, PluginId, RequestId, RoleId, SessionId, TenantId, UserId,
};
pub use reason::{Problem, Reason};
