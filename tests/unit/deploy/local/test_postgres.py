"""What of a dump's statements is carried out where roles or a database are missing."""

from wherry.deploy.local.postgres import as_of_the_dump, without_roles

GLOBALS = b"""\\restrict k
SET standard_conforming_strings = on;
CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x';
CREATE ROLE "Odd ""one";
ALTER ROLE "Odd ""one" WITH LOGIN;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'old';
ALTER ROLE postgres SET search_path TO 'x';
GRANT app TO "Odd ""one";
\\unrestrict k
"""

SCRIPT = b"""--
-- Name: shop; Type: DATABASE; Schema: -; Owner: app
--

CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8';


ALTER DATABASE shop OWNER TO app;

\\unrestrict k
\\connect shop
\\restrict k

SET client_encoding = 'UTF8';

--
-- Name: shop; Type: DATABASE PROPERTIES; Schema: -; Owner: app
--

ALTER DATABASE shop SET search_path TO 'x';


\\unrestrict k
\\connect shop
\\restrict k

--
-- Name: t; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.t (x integer);
"""


def test_roles_that_are_there_stay_as_they_are():
    left = without_roles(GLOBALS, {b"postgres"})
    assert b"postgres" not in left
    assert left.count(b"\n") == GLOBALS.count(b"\n") - 3
    assert b"ALTER ROLE app" not in without_roles(GLOBALS, {b"app"})
    assert without_roles(GLOBALS, {b'"Odd ""one"'}).count(b"Odd") == 1, "the membership is granted again"


def test_a_database_is_made_with_its_settings_and_without_its_tables():
    made = as_of_the_dump(SCRIPT)
    assert made.index(b"CREATE DATABASE shop") < made.index(b"OWNER TO app") < made.index(b"SET search_path TO 'x'")
    assert b"\\connect" not in made
    assert b"TABLE public" not in made
