-- What lies in lockers, and until when: made of facts by the follower "deposits".

-- +goose Up
create table deposits (                 -- over_ms 0: it still lies there; told_ms: deadlines until then were told; next_ms: the next one, 0 none
  id text primary key, waybill text not null, locker text not null, cell integer not null, since_ms integer not null, until_ms integer not null,
  extended integer not null, told_ms integer not null, next_ms integer not null, over_ms integer not null);
create index deposits_waybill on deposits (waybill);
create index deposits_due on deposits (next_ms) where next_ms > 0 and over_ms = 0;
create index deposits_locker on deposits (locker) where over_ms = 0;
create index parcels_expected on parcels (site, created_ms) where stage in ('created', 'at_warehouse', 'sorted', 'loaded', 'in_transit', 'at_outlet', 'out_for_delivery');

-- +goose Down
drop index parcels_expected;
drop table deposits;
