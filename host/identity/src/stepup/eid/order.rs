//! One order: where it stands, and what its own browser may see of that.

use parking_lot::Mutex;
use vaxel_core::{OpCx, PluginId, TenantId, UnixMs};
use vaxel_eid::{Asked, Device, Hint, Message, Order, qr_code};

/// Where an order stands.
#[derive(Clone, Debug)]
pub(super) enum At {
    Pending(Hint),
    /// The provider does not answer just now.
    Silent,
    Failed(Message),
    /// Somebody showed who they are, and is not on the list of those who may.
    NotListed,
    /// Somebody showed who they are; the browser has not fetched it.
    Proven {
        pseudonym: String,
    },
    /// The browser has.
    Taken,
}

/// An order that a browser began.
pub(super) struct Begun {
    pub(super) tenant: TenantId,
    /// Whose request began it.
    pub(super) cx: OpCx,
    pub(super) plugin: PluginId,
    pub(super) purpose: String,
    pub(super) device: Device,
    pub(super) asked: Asked,
    pub(super) order: Order,
    pub(super) back_to: String,
    pub(super) for_ticket: bool,
    pub(super) named: bool,
    /// Hashes of what the browser and the app were given.
    pub(super) binding: [u8; 32],
    pub(super) nonce: [u8; 32],
    pub(super) at: Mutex<At>,
    pub(super) returned: Mutex<bool>,
}

/// What the browser shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EidLook {
    /// Not ended.
    Pending {
        /// What to do.
        message: Message,
        /// The code of this second, while it is worth scanning.
        code: Option<String>,
        /// Starts the app on this device.
        start: Option<String>,
    },
    /// It ended, and nobody showed who they are.
    Failed {
        /// Why.
        message: Message,
    },
    /// Shown, by somebody who is not on the list.
    NotListed,
    /// Shown; the proof can be taken.
    Proven,
    /// Shown on this device, but the app did not send this browser back: it was perhaps another's.
    AwaitsReturn,
}

/// An order as its browser sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EidView {
    /// Where it stands.
    pub look: EidLook,
    /// Where the browser goes on.
    pub back_to: String,
    /// What the person reads in the app.
    pub visible: String,
}

impl Begun {
    pub(super) fn is_pending(&self) -> bool {
        matches!(*self.at.lock(), At::Pending(_) | At::Silent)
    }

    /// Only an order that goes on changes.
    pub(super) fn becomes(&self, next: At) {
        let mut at = self.at.lock();
        if matches!(*at, At::Pending(_) | At::Silent) {
            *at = next;
        }
    }

    fn may_be_taken(&self) -> bool {
        matches!(self.device, Device::Other) || *self.returned.lock()
    }

    /// The pseudonym, once.
    pub(super) fn take(&self) -> Option<String> {
        if !self.may_be_taken() {
            return None;
        }
        let mut at = self.at.lock();
        match std::mem::replace(&mut *at, At::Taken) {
            At::Proven { pseudonym } => Some(pseudonym),
            before => {
                *at = before;
                None
            }
        }
    }

    pub(super) fn view(&self, now: UnixMs) -> EidView {
        let look = match &*self.at.lock() {
            At::Pending(hint) => EidLook::Pending {
                message: hint.pending(self.device),
                code: self.code(hint, now),
                start: self.start(hint),
            },
            At::Silent => EidLook::Pending {
                message: Message::Rfa21,
                code: None,
                start: None,
            },
            At::Failed(message) => EidLook::Failed { message: *message },
            At::NotListed => EidLook::NotListed,
            At::Proven { .. } if self.may_be_taken() => EidLook::Proven,
            At::Proven { .. } => EidLook::AwaitsReturn,
            At::Taken => EidLook::Failed {
                message: Message::Rfa22,
            },
        };
        EidView {
            look,
            back_to: self.back_to.clone(),
            visible: self.asked.visible.clone(),
        }
    }

    fn code(&self, hint: &Hint, now: UnixMs) -> Option<String> {
        let is_scanned = matches!(self.device, Device::Other) && hint.waits_for_app();
        let order = &self.order;
        is_scanned.then(|| {
            let seconds = now.since(order.at) / 1_000;
            qr_code(
                &order.qr_start_token,
                order.qr_start_secret.expose(),
                seconds,
            )
        })
    }

    /// Phones open their app by a universal link; computers have a scheme for it.
    fn start(&self, hint: &Hint) -> Option<String> {
        let token = &self.order.auto_start_token;
        match self.device {
            Device::Same { mobile } if hint.waits_for_app() => Some(if mobile {
                format!("https://app.bankid.com/?autostarttoken={token}&redirect=null")
            } else {
                format!("bankid:///?autostarttoken={token}&redirect=null")
            }),
            _ => None,
        }
    }
}
