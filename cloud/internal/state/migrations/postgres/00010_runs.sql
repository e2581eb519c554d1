-- Runs of vehicles by day, and what couriers and keepers did.

-- +goose Up
create table runs (                     -- day is 2026-06-03 of the county's clock
  day text collate "C" not null, id text collate "C" not null, vehicle text collate "C" not null, doc text collate "C" not null, version bigint not null, changed_ms bigint not null,
  primary key (day, id));
create table acts (                     -- once each, by the client's own id
  id text collate "C" primary key, kind text collate "C" not null, actor text collate "C" not null, site text collate "C" not null, run text collate "C" not null, at_ms bigint not null, received_ms bigint not null, doc text collate "C" not null);
create index acts_at on acts (at_ms);
create table photos (act text collate "C" primary key, mime text collate "C" not null, body bytea not null);

-- +goose Down
drop table photos;
drop table acts;
drop table runs;
