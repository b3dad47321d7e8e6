//! One method for each RPC of SecretService.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::Guard;
use secretslots_stubs::v1;

use crate::checksum;
use crate::client::{Client, Service};
use crate::error::Result;
use crate::machine::system_time;
use crate::name::{check_name, check_number};
use crate::pages::Pages;
use crate::random;
use crate::requests::{Mutation, PutSlot, Update};
use crate::state::{Content, Slot, State, Version};

impl Client {
    /// The current value, from the server: the enabled slot with the largest number.
    ///
    /// # Errors
    /// NOT_FOUND with reason `SECRET_NOT_FOUND` or `NO_EFFECTIVE_SLOT`.
    pub async fn get_secret(&self, name: &str) -> Result<Version> {
        check_name(name)?;
        let request = v1::GetSecretRequest { name: name.into() };
        let answer =
            self.call(request, |mut service: Service, r| async move { service.get_secret(r).await }).await?;
        version(v1::GetEffectiveAtResponse {
            name: answer.name,
            slot: answer.slot,
            value: answer.value,
            crc32c: answer.crc32c,
            create_time: answer.create_time,
            revision: answer.revision,
            epoch: answer.epoch,
            at: None,
        })
    }

    /// The value effective at `at`, from the server: the enabled slot with the largest number at or below it. `None`
    /// means the server's clock, in Unix seconds; [`Version::at`] says what it was.
    ///
    /// # Errors
    /// As [`get_secret`](Self::get_secret), and INVALID_ARGUMENT for `at` above 2^63−1.
    pub async fn get_effective_at(&self, name: &str, at: impl Into<Option<u64>>) -> Result<Version> {
        check_name(name)?;
        let at = at.into().map(|at| check_number("at", at)).transpose()?;
        let request = v1::GetEffectiveAtRequest { name: name.into(), at };
        let call = |mut service: Service, r| async move { service.get_effective_at(r).await };
        version(self.call(request, call).await?)
    }

    /// Writes one slot; creates the secret at its first.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`SLOT_EXISTS`, `SLOT_DESTROYED`) for another value without `overwrite`; ABORTED
    /// (`REVISION_MISMATCH`) for another revision than the expected one.
    pub async fn put_slot(&self, put: PutSlot) -> Result<v1::PutSlotResponse> {
        let request = put.into_request()?;
        self.call(request, |mut service: Service, r| async move { service.put_slot(r).await }).await
    }

    /// Takes a slot out of both resolution rules until it is enabled again.
    pub async fn disable_slot(&self, name: &str, slot: u64, with: Mutation) -> Result<v1::DisableSlotResponse> {
        let (name, slot, etag, request_id) = slot_mutation(name, slot, with)?;
        let request = v1::DisableSlotRequest { name, slot, etag, request_id };
        self.call(request, |mut service: Service, r| async move { service.disable_slot(r).await }).await
    }

    /// Puts a disabled slot back.
    pub async fn enable_slot(&self, name: &str, slot: u64, with: Mutation) -> Result<v1::EnableSlotResponse> {
        let (name, slot, etag, request_id) = slot_mutation(name, slot, with)?;
        let request = v1::EnableSlotRequest { name, slot, etag, request_id };
        self.call(request, |mut service: Service, r| async move { service.enable_slot(r).await }).await
    }

    /// Removes a slot's value for good; its number stays known.
    pub async fn destroy_slot(&self, name: &str, slot: u64, with: Mutation) -> Result<v1::DestroySlotResponse> {
        let (name, slot, etag, request_id) = slot_mutation(name, slot, with)?;
        let request = v1::DestroySlotRequest { name, slot, etag, request_id };
        self.call(request, |mut service: Service, r| async move { service.destroy_slot(r).await }).await
    }

    /// Removes a secret and all its slots.
    pub async fn delete_secret(&self, name: &str, with: Mutation) -> Result<v1::DeleteSecretResponse> {
        check_name(name)?;
        let Mutation { etag, request_id } = with;
        let request = v1::DeleteSecretRequest { name: name.into(), etag, request_id: or_random(request_id) };
        self.call(request, |mut service: Service, r| async move { service.delete_secret(r).await }).await
    }

    /// Changes the comment, the labels or both; what is not given stays.
    pub async fn update_secret(
        &self,
        name: &str,
        update: Update,
        with: Mutation,
    ) -> Result<v1::UpdateSecretResponse> {
        check_name(name)?;
        let given = [("comment", update.comment.is_some()), ("labels", update.labels.is_some())];
        let paths = given.iter().filter(|(_, given)| *given).map(|(field, _)| (*field).to_owned()).collect();
        let request = v1::UpdateSecretRequest {
            name: name.into(),
            comment: update.comment.unwrap_or_default(),
            labels: update.labels.map(HashMap::from_iter).unwrap_or_default(),
            update_mask: Some(prost_types::FieldMask { paths }),
            etag: with.etag,
            request_id: or_random(with.request_id),
        };
        self.call(request, |mut service: Service, r| async move { service.update_secret(r).await }).await
    }

    /// Metadata of one secret, no values.
    pub async fn describe_secret(&self, name: &str) -> Result<v1::DescribeSecretResponse> {
        check_name(name)?;
        let request = v1::DescribeSecretRequest { name: name.into() };
        self.call(request, |mut service: Service, r| async move { service.describe_secret(r).await }).await
    }

    /// One page of the secrets whose names begin with `prefix`, in byte order, no values. `page_size` 0 means the
    /// server's default; `page_token` is the page's before, or empty.
    pub async fn list_secrets(
        &self,
        prefix: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<v1::ListSecretsResponse> {
        let request = v1::ListSecretsRequest { prefix: prefix.into(), page_size, page_token: page_token.into() };
        self.call(request, |mut service: Service, r| async move { service.list_secrets(r).await }).await
    }

    /// All secrets whose names begin with `prefix`, page by page as they are asked for.
    pub fn all_secrets(&self, prefix: &str, page_size: i32) -> Pages<v1::SecretMetadata> {
        let (client, prefix) = (self.clone(), prefix.to_owned());
        Pages::new(move |token| {
            let (client, prefix) = (client.clone(), prefix.clone());
            Box::pin(async move {
                let page = client.list_secrets(&prefix, page_size, &token).await?;
                Ok((page.secrets, page.next_page_token))
            })
        })
    }

    /// One page of a secret's slots, rising, no values.
    pub async fn list_slots(&self, name: &str, page_size: i32, page_token: &str) -> Result<v1::ListSlotsResponse> {
        check_name(name)?;
        let request = v1::ListSlotsRequest { name: name.into(), page_size, page_token: page_token.into() };
        self.call(request, |mut service: Service, r| async move { service.list_slots(r).await }).await
    }

    /// All slots of a secret, page by page as they are asked for.
    pub fn all_slots(&self, name: &str, page_size: i32) -> Pages<v1::SlotMetadata> {
        let (client, name) = (self.clone(), name.to_owned());
        Pages::new(move |token| {
            let (client, name) = (client.clone(), name.clone());
            Box::pin(async move {
                let page = client.list_slots(&name, page_size, &token).await?;
                Ok((page.slots, page.next_page_token))
            })
        })
    }

    /// The server's version and limits, and where its store stands.
    pub async fn get_server_info(&self) -> Result<v1::GetServerInfoResponse> {
        let request = v1::GetServerInfoRequest {};
        self.call(request, |mut service: Service, r| async move { service.get_server_info(r).await }).await
    }
}

/// One id for every attempt, so that a mutation is retried as safely as a read.
pub(crate) fn or_random(request_id: String) -> String {
    if request_id.is_empty() { random::hex::<16>() } else { request_id }
}

fn slot_mutation(name: &str, slot: u64, with: Mutation) -> Result<(String, Option<u64>, String, String)> {
    check_name(name)?;
    Ok((name.into(), Some(check_number("slot", slot)?), with.etag, or_random(with.request_id)))
}

fn version(answer: v1::GetEffectiveAtResponse) -> Result<Version> {
    let number = answer.slot();
    checksum::verify(&answer.name, number, &answer.value, answer.crc32c)?;
    let slot = Slot {
        number,
        revision: answer.revision,
        create_time: answer.create_time.and_then(system_time),
        value: Some(answer.value.into()),
    };
    let state = State {
        name: answer.name.into(),
        epoch: answer.epoch.into(),
        revision: answer.revision,
        content: Content::Slots([slot].into()),
    };
    let version = Version::current(Guard::from_inner(Arc::new(state)));
    version.map(|version| version.resolved_at(answer.at))
}
