-- What boards said that they made, and which of the records that no account covers were alarmed.

-- +goose Up
create table accounts (                 -- last is the highest seq that a hello named; alarmed are ranges as in ranges.spans
  gateway text not null, epoch text not null, lane integer not null, last integer not null, said_ms integer not null, alarmed text not null,
  primary key (gateway, epoch, lane));
alter table ranges add column quarantined integer not null default 0;

-- +goose Down
alter table ranges drop column quarantined;
drop table accounts;
