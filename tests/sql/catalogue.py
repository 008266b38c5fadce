"""What a database defines, as a dictionary: object -> its properties as text. Two databases that are
defined alike have equal dictionaries."""
import json
import re

SCHEMAS = "('raw', 'processed', 'mart', 'reporting', 'lake')"
# A right that is the default may be written down or not.
GRANTS = """(SELECT string_agg(format('%%s=%%s%%s by %%s', CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
                CASE WHEN is_grantable THEN '*' ELSE '' END, grantor::regrole), ' ' ORDER BY grantee::regrole::text, privilege_type)
             FROM aclexplode(coalesce(%s, acldefault('%s', %s))))"""

QUERIES = {
    'schema': f"""SELECT nspname, json_build_object('owner', nspowner::regrole, 'comment', obj_description(n.oid, 'pg_namespace'),
            'rights', {GRANTS % ('nspacl', 'n', 'nspowner')})
        FROM pg_namespace n WHERE nspname IN {SCHEMAS}""",
    'relation': f"""SELECT c.oid::regclass, json_build_object('kind', relkind, 'persistence', relpersistence, 'owner', relowner::regrole,
            'options', reloptions, 'comment', obj_description(c.oid, 'pg_class'), 'partitioned by', pg_get_partkeydef(c.oid),
            'partition of', (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid), 'bound', pg_get_expr(relpartbound, c.oid),
            'row security', relrowsecurity, 'view', CASE WHEN relkind = 'v' THEN pg_get_viewdef(c.oid) END,
            'rights', {GRANTS % ('relacl', 'r', 'relowner')})
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN {SCHEMAS} AND relkind NOT IN ('i', 'I', 't')""",
    # By position among the columns that are there: one that was dropped leaves a gap in attnum.
    'column': f"""SELECT c.oid::regclass || '.' || attname, json_build_object(
            'position', row_number() OVER (PARTITION BY c.oid ORDER BY attnum), 'type', format_type(atttypid, atttypmod), 'not null', attnotnull,
            'default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = c.oid AND adnum = attnum), 'generated', attgenerated,
            'identity', attidentity, 'collation', attcollation::regcollation, 'storage', attstorage, 'statistics', attstattarget,
            'comment', col_description(c.oid, attnum), 'rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(attacl) AS a))
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN {SCHEMAS} AND relkind NOT IN ('i', 'I', 't') AND attnum > 0 AND NOT attisdropped""",
    'constraint': f"""SELECT conrelid::regclass || '.' || conname, json_build_object('definition', pg_get_constraintdef(o.oid),
            'comment', obj_description(o.oid, 'pg_constraint'))
        FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace WHERE nspname IN {SCHEMAS}""",
    'index': f"""SELECT indexrelid::regclass, json_build_object('definition', pg_get_indexdef(indexrelid), 'options', reloptions,
            'comment', obj_description(indexrelid, 'pg_class'))
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN {SCHEMAS}""",
    'trigger': f"""SELECT tgrelid::regclass || '.' || tgname, json_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', tgenabled)
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN {SCHEMAS} AND NOT tgisinternal""",
    'function': f"""SELECT p.oid::regprocedure, json_build_object('arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
            'language', (SELECT lanname FROM pg_language l WHERE l.oid = prolang), 'kind', prokind, 'volatility', provolatile, 'parallel', proparallel,
            'strict', proisstrict, 'security', prosecdef, 'leakproof', proleakproof, 'cost', procost, 'rows', prorows, 'settings', proconfig,
            'owner', proowner::regrole, 'comment', obj_description(p.oid, 'pg_proc'), 'source', prosrc, 'rights', {GRANTS % ('proacl', 'f', 'proowner')})
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname IN {SCHEMAS}""",
    'default rights': """SELECT format('%s %s', defaclnamespace::regnamespace, defaclobjtype),
            json_build_object('owner', defaclrole::regrole, 'rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(defaclacl) AS a))
        FROM pg_default_acl""",
    'type': f"""SELECT t.oid::regtype, json_build_object('kind', typtype) FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
        WHERE nspname IN {SCHEMAS} AND typrelid = 0 AND typelem = 0""",
}
QUERIES['database'] = f"""SELECT 'rights', json_build_object('rights', {GRANTS % ('datacl', 'd', 'datdba')})
    FROM pg_database WHERE datname = current_database()"""


def without_layout(source):
    """The tokens of a function: comments go, white space is one blank or none, and a literal that goes on
    in the next line is one literal."""
    source = re.sub(r"--[^\n]*", "", source)
    source = re.sub(r"'\s*\n\s*'", "", source)
    source = re.sub(r"\s+", " ", source)
    return re.sub(r" ?([(),;]) ?", r"\1", source).strip()


def catalogue(ask):
    """ask(query): the rows of a query, as tuples of text."""
    found = {}
    for name, properties in ask(" UNION ALL ".join(f"SELECT '{kind} ' || q.name, q.properties::text FROM ({query}) AS q(name, properties)"
                                                   for kind, query in QUERIES.items())):
        found[name] = json.loads(properties)
        if "source" in found[name]:
            found[name]["source"] = without_layout(found[name]["source"])
    return found


def differences(left, right):
    """Lines: what only one of two catalogues has, and properties that differ."""
    lines = [f"only on the left: {name}" for name in sorted(left.keys() - right.keys())]
    lines += [f"only on the right: {name}" for name in sorted(right.keys() - left.keys())]
    for name in sorted(left.keys() & right.keys()):
        for key, value in left[name].items():
            if value != right[name][key]:
                lines.append(f"{name}, {key}: {value!r} | {right[name][key]!r}")
    return lines
