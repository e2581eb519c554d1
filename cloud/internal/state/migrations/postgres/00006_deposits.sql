-- What lies in lockers, and until when: made of facts by the follower "deposits".

-- +goose Up
create table deposits (                 -- over_ms 0: it still lies there; told_ms: deadlines until then were told; next_ms: the next one, 0 none
  id text collate "C" primary key, waybill text collate "C" not null, locker text collate "C" not null, cell bigint not null, since_ms bigint not null, until_ms bigint not null,
  extended bigint not null, told_ms bigint not null, next_ms bigint not null, over_ms bigint not null);
create index deposits_waybill on deposits (waybill);
create index deposits_due on deposits (next_ms) where next_ms > 0 and over_ms = 0;
create index deposits_locker on deposits (locker) where over_ms = 0;
create index parcels_expected on parcels (site, created_ms) where stage in ('created', 'at_warehouse', 'sorted', 'loaded', 'in_transit', 'at_outlet', 'out_for_delivery');

-- +goose Down
drop index parcels_expected;
drop table deposits;
