"""The properties of HubSpot's own that are read; a customer's own come besides."""

from __future__ import annotations

FIXED = {  # stream to names (developers.hubspot.com, default properties; specification v3)
    "tickets": (
        "subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category",
        "source_type", "hubspot_owner_id", "createdate", "hs_lastmodifieddate",
    ),
    "contacts": ("email", "firstname", "lastname", "phone", "jobtitle", "hs_language", "associatedcompanyid"),
    "companies": ("name", "domain", "description", "phone"),
    "emails": (
        "hs_timestamp", "hs_email_html", "hs_email_text", "hs_email_subject", "hs_email_direction", "hubspot_owner_id",
        "hs_attachment_ids",
    ),
    "notes": ("hs_timestamp", "hs_note_body", "hubspot_owner_id", "hs_attachment_ids"),
}  # fmt: skip
