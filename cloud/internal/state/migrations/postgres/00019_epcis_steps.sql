-- Events of one business step in their order, so that a rare one is found without walking all events.

-- +goose Up
create index epcis_events_step_at on epcis_events (biz_step, at_ms, no);
create index epcis_events_step_recorded on epcis_events (biz_step, recorded_ms, no);

-- +goose Down
drop index epcis_events_step_recorded;
drop index epcis_events_step_at;
