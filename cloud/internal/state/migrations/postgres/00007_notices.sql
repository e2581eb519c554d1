-- Messages to people, and callbacks to other houses.

-- +goose Up
create table notices (                  -- one of (waybill, event, occasion, kind); id is made of them
  id text collate "C" primary key, waybill text collate "C" not null, event text collate "C" not null, occasion text collate "C" not null, kind text collate "C" not null, site text collate "C" not null,
  status text collate "C" not null, reason text collate "C" not null, about text collate "C" not null, tries text collate "C" not null, seq bigint not null, evidence_ms bigint not null, due_ms bigint not null,
  next_ms bigint not null, task_ms bigint not null, owner text collate "C" not null, result text collate "C" not null, said_by text collate "C" not null,
  created_ms bigint not null, changed_ms bigint not null, version bigint not null);
create index notices_next on notices (next_ms) where next_ms > 0;
create index notices_waybill on notices (waybill, created_ms);
create index notices_created on notices (created_ms desc, id desc);
create index notices_status on notices (status, created_ms desc, id desc);
create index notices_task on notices (site, task_ms) where task_ms > 0;
create table notice_refs (              -- a provider's names of tries
  ref text collate "C" primary key, try text collate "C" not null, at_ms bigint not null);
create table notice_reports (           -- what channels said later, until it is applied or too old
  id text collate "C" primary key, ref text collate "C" not null, delivered bigint not null, detail text collate "C" not null, at_ms bigint not null, next_ms bigint not null);
create index notice_reports_next on notice_reports (next_ms);
create table notice_counts (            -- what was sent within a window
  key text collate "C" primary key, count bigint not null, until_ms bigint not null);
create index notice_counts_until on notice_counts (until_ms);
create table notice_prefs (             -- by the keyed hash of a phone number
  phone_hash text collate "C" primary key, doc text collate "C" not null, changed_ms bigint not null);
create table notice_marks (name text collate "C" primary key, value text collate "C" not null);

create table subscriptions (            -- who is called back; next_ms is when, after a failure of the whole
  id text collate "C" primary key, doc text collate "C" not null, origin text collate "C" not null, next_ms bigint not null, fails bigint not null, changed_ms bigint not null);
create table callbacks (                -- of each subscription the facts it is told, in order by subject
  subscription text collate "C" not null, seq bigint not null, subject text collate "C" not null, key text collate "C" not null,
  status text collate "C" not null, tries bigint not null, next_ms bigint not null, detail text collate "C" not null, created_ms bigint not null, changed_ms bigint not null, version bigint not null,
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
