-- Messages to people, and callbacks to other houses.

-- +goose Up
create table notices (                  -- one of (waybill, event, occasion, kind); id is made of them
  id text primary key, waybill text not null, event text not null, occasion text not null, kind text not null, site text not null,
  status text not null, reason text not null, about text not null, tries text not null, seq integer not null, evidence_ms integer not null, due_ms integer not null,
  next_ms integer not null, task_ms integer not null, owner text not null, result text not null, said_by text not null,
  created_ms integer not null, changed_ms integer not null, version integer not null);
create index notices_next on notices (next_ms) where next_ms > 0;
create index notices_waybill on notices (waybill, created_ms);
create index notices_created on notices (created_ms desc, id desc);
create index notices_status on notices (status, created_ms desc, id desc);
create index notices_task on notices (site, task_ms) where task_ms > 0;
create table notice_refs (              -- a provider's names of tries
  ref text primary key, try text not null, at_ms integer not null);
create table notice_reports (           -- what channels said later, until it is applied or too old
  id text primary key, ref text not null, delivered integer not null, detail text not null, at_ms integer not null, next_ms integer not null);
create index notice_reports_next on notice_reports (next_ms);
create table notice_counts (            -- what was sent within a window
  key text primary key, count integer not null, until_ms integer not null);
create index notice_counts_until on notice_counts (until_ms);
create table notice_prefs (             -- by the keyed hash of a phone number
  phone_hash text primary key, doc text not null, changed_ms integer not null);
create table notice_marks (name text primary key, value text not null);

create table subscriptions (            -- who is called back; next_ms is when, after a failure of the whole
  id text primary key, doc text not null, origin text not null, next_ms integer not null, fails integer not null, changed_ms integer not null);
create table callbacks (                -- of each subscription the facts it is told, in order by subject
  subscription text not null, seq integer not null, subject text not null, key text not null,
  status text not null, tries integer not null, next_ms integer not null, detail text not null, created_ms integer not null, changed_ms integer not null, version integer not null,
  primary key (subscription, seq));
create index callbacks_next on callbacks (next_ms) where next_ms > 0;
create index callbacks_subject on callbacks (subscription, subject, seq) where next_ms > 0;
create index callbacks_status on callbacks (subscription, status, seq);

-- +goose Down
drop table callbacks;
drop table subscriptions;
drop table notice_marks;
drop table notice_prefs;
drop table notice_counts;
drop table notice_reports;
drop table notice_refs;
drop table notices;
