-- Whom a note calls.
create table note_mentions (
    brand_id uuid not null,
    message_id uuid not null,
    member_id uuid not null,
    primary key (brand_id, message_id, member_id),
    foreign key (brand_id, message_id) references messages,
    foreign key (brand_id, member_id) references members
);
