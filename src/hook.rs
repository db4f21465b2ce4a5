//! Webhooks: one registry for front ends, over the registries that each server's bbb-webhooks keeps
//! (`bbb-api.md` 2.11, 6.4). Pure; knows no clock, socket or file.

pub mod sign;
