"""Airflow's page: logins are kept in its database, and there is no page without one."""
from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
WTF_CSRF_ENABLED = True
# The page is reached by `infra open airflow`, through SSH, as plain HTTP on the user's own machine.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
