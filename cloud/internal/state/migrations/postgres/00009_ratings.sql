-- What recipients say of how their parcels came, once each.

-- +goose Up
create table ratings (waybill text collate "C" primary key, site text collate "C" not null, score bigint not null, at_ms bigint not null);
create index ratings_at on ratings (at_ms);

-- +goose Down
drop table ratings;
