//! What a subscription has beside a mailbox where it is to bring the content of events.

use serde_json::{Value, json};

use crate::{
    domain::ids::ContentKeyId,
    graph::allow_list::{fields, property_id::PropertyId},
};

/// What makes a subscription bring the content of events: the allowed fields, never the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceDataOptions {
    /// The certificate that Graph seals it for: X.509 with the public key alone, DER in base64.
    pub certificate: String,
    /// What we call that certificate; Graph repeats it with everything it seals.
    pub certificate_id: ContentKeyId,
    /// The one extended property that is brought too, which an add-in may have left its wish in.
    /// A renewal cannot change it.
    pub add_in_property: Option<PropertyId>,
}

impl ResourceDataOptions {
    /// Names the certificate in a request.
    pub(in crate::graph) fn add_certificate_to(&self, body: &mut Value) {
        body[fields::CERTIFICATE] = json!(self.certificate);
        body[fields::CERTIFICATE_ID] = json!(self.certificate_id.as_str());
    }
}
