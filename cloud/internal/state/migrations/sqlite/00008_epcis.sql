-- EPCIS events, what they name, what partners sent; and the tags that labels gave to parcels.

-- +goose Up
create table epcis_events (             -- an event and the declaration that it was wrong have the same id
  id text not null, declared_ms integer not null, no integer not null unique, type text not null, at_ms integer not null, recorded_ms integer not null,
  action text not null, biz_step text not null, disposition text not null, read_point text not null, biz_location text not null,
  reason text not null, key text not null, waybill text not null, digest text not null, doc text not null,
  primary key (id, declared_ms));
create index epcis_events_at on epcis_events (at_ms, no);
create index epcis_events_recorded on epcis_events (recorded_ms, no);
create index epcis_events_key on epcis_events (key) where key <> '';
create table epcis_terms (
  kind text not null, value text not null, no integer not null,
  primary key (kind, value, no));
create table epcis_captures (
  id text primary key, at_ms integer not null, finished_ms integer not null, rollback integer not null, success integer not null,
  events integer not null, stored integer not null, faults text not null);
create table labels (                   -- waybill <-> tag, as printed; read_ms when the tag was read back, 0 not yet
  waybill text primary key, epc text not null unique, at_ms integer not null, read_ms integer not null);
insert into counters (name, value) values ('epcis', 0), ('sscc', 0);

-- +goose Down
delete from counters where name in ('epcis', 'sscc');
drop table labels;
drop table epcis_captures;
drop table epcis_terms;
drop table epcis_events;
