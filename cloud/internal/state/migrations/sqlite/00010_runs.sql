-- Runs of vehicles by day, and what couriers and keepers did.

-- +goose Up
create table runs (                     -- day is 2026-06-03 of the county's clock
  day text not null, id text not null, vehicle text not null, doc text not null, version integer not null, changed_ms integer not null,
  primary key (day, id));
create table acts (                     -- once each, by the client's own id
  id text primary key, kind text not null, actor text not null, site text not null, run text not null, at_ms integer not null, received_ms integer not null, doc text not null);
create index acts_at on acts (at_ms);
create table photos (act text primary key, mime text not null, body blob not null);

-- +goose Down
drop table photos;
drop table acts;
drop table runs;
