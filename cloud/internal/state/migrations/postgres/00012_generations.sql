-- Which generation of its locker's key a deposit's codes come from; 0: not told.

-- +goose Up
alter table deposits add column generation bigint not null default 0;

-- +goose Down
alter table deposits drop column generation;
