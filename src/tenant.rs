//! Customers and their secrets: who a call is from. Pure; knows nothing of meetings or servers.

use crate::bbb::call::{Call, SignedCall};
use crate::bbb::fault::Fault;
use crate::bbb::id::TenantId;
use crate::bbb::secret::Secret;

/// One customer: several secrets may open the same door, so that one can be exchanged without a break.
#[derive(Debug, Clone)]
pub struct Tenant {
    id: TenantId,
    secrets: Vec<Secret>,
}

/// All customers.
#[derive(Debug, Clone)]
pub struct Tenants(Vec<Tenant>);

impl Tenants {
    /// The one tenant of a set-up that names none.
    pub fn single(secrets: Vec<Secret>) -> Self {
        Self(vec![Tenant { id: TenantId::DEFAULT, secrets }])
    }

    /// Every secret and whose it is.
    pub fn secrets(&self) -> impl Iterator<Item = (TenantId, Secret)> {
        self.0
            .iter()
            .flat_map(|tenant| tenant.secrets.iter().map(|secret| (tenant.id, secret.clone())))
    }

    /// Verifies `call` and says whose it is.
    pub fn verify(&self, call: &SignedCall<'_>) -> Result<(TenantId, Call), Fault> {
        let mut fault = Fault::checksum_mismatch();
        for tenant in &self.0 {
            match call.verify(&tenant.secrets) {
                Ok(call) => return Ok((tenant.id, call)),
                Err(why) => fault = why,
            }
        }
        Err(fault)
    }
}
