-- What brands add to conversations and contacts. Labels, skills and attributes are rows: lists filter by them.

create table labels (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null check (length(name) between 1 and 100),
    color text not null check (color ~ '^#[0-9a-f]{6}$'),
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    primary key (brand_id, id)
);
-- Names that differ only in case look the same to a person.
create unique index labels_name_key on labels (brand_id, lower(name));

create table conversation_labels (
    brand_id uuid not null,
    conversation_id uuid not null,
    label_id uuid not null,
    primary key (brand_id, conversation_id, label_id),
    foreign key (brand_id, conversation_id) references conversations,
    foreign key (brand_id, label_id) references labels
);
create index conversation_labels_label_idx on conversation_labels (brand_id, label_id, conversation_id);

-- Required skills, in the order in which they matter.
create table conversation_skills (
    brand_id uuid not null,
    conversation_id uuid not null,
    skill_id uuid not null,
    ordinal smallint not null,
    primary key (brand_id, conversation_id, skill_id),
    foreign key (brand_id, conversation_id) references conversations,
    foreign key (brand_id, skill_id) references skills
);
create index conversation_skills_skill_idx on conversation_skills (brand_id, skill_id);

create table attribute_definitions (
    brand_id uuid not null references brands,
    id uuid not null,
    subject text not null check (subject in ('conversation', 'contact')),
    key text not null check (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    name text not null check (length(name) between 1 and 100),
    type text not null check (type in ('text', 'number', 'boolean', 'date', 'choice')),
    -- Of type choice: what may be chosen, in order.
    choices text[] not null default '{}',
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    constraint attribute_definitions_key_key unique (brand_id, subject, key)
);

-- A value in its text form, by which filters compare: numbers without needless zeros, dates as YYYY-MM-DD.
create table conversation_attributes (
    brand_id uuid not null,
    conversation_id uuid not null,
    definition_id uuid not null,
    value text not null check (length(value) between 1 and 2000),
    primary key (brand_id, conversation_id, definition_id),
    foreign key (brand_id, conversation_id) references conversations,
    foreign key (brand_id, definition_id) references attribute_definitions
);
create index conversation_attributes_value_idx
    on conversation_attributes (brand_id, definition_id, left(value, 200), conversation_id);

create table contact_attributes (
    brand_id uuid not null,
    contact_id uuid not null,
    definition_id uuid not null,
    value text not null check (length(value) between 1 and 2000),
    primary key (brand_id, contact_id, definition_id),
    foreign key (brand_id, contact_id) references contacts,
    foreign key (brand_id, definition_id) references attribute_definitions
);
create index contact_attributes_value_idx
    on contact_attributes (brand_id, definition_id, left(value, 200), contact_id);
