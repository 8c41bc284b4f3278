"""Settings of the control plane. Values that differ between machines come from config.env."""

import logging
from pathlib import Path

from apps.core.catalogue import PROBLEM_SCHEMA
from config import env as environment
from config import staff
from config.logging import logging_config

env = environment.env
BASE_DIR: Path = environment.BASE_DIR
SECRET_KEY = env.secret_key
DEBUG = env.debug
ALLOWED_HOSTS = [host.strip() for host in env.allowed_hosts.split(",")]
PORTAL_URL = env.portal_url.rstrip("/")
CHECK_URL = env.check_url
EXAMPLE_KEY: str = env.example_key
DRF_CHECK_URL = f"{PORTAL_URL}/api/v1/check"
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]

# Applications. A schema is a cell of many tenants: SHARED_APPS live in `public`, TENANT_APPS in every cell.
SHARED_APPS = [
    "unfold",  # before django_tenants and admin, whose templates it replaces
    "django_tenants",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_prometheus",
    "django_structlog",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *(["apps.billing.mirror.apps.MirrorConfig"] if env.stripe_mirror else []),
    "apps.core",
    "apps.tenants",
    "apps.plans",
    "apps.notifications.house",
    "apps.analytics",
    "apps.billing",
]
TENANT_APPS = ["apps.tenants.audit", "apps.tenants.idempotency", "apps.notifications", "apps.apikeys", "apps.limits"]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.headers.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "apps.core.middleware.AddressMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.tenants.middleware.OriginMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.core.context.appearance",
            ],
        },
    },
]

# Database: one alias, two roles; see apps/core/scope.py and apps/tenants/migrations.
DATABASES = {"default": env.database()}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASE_IS_OWNER = env.database_role == "owner"
DATABASE_APPLICATION_ROLE = env.application_role()
DATABASE_INGEST_URL = env.database_ingest_url
DATABASE_INGEST_ROLE = env.database_ingest_role
TENANT_MODEL = "tenants.Cell"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CELL_CAPACITY = 1_000  # tenants in a cell

# Redis
COUNTERS_URL = env.counters()
KEY_PEPPERS = env.peppers()
TOKEN_KEYS = env.tokens()
DOOR_WORKERS = env.door_workers
SPOOL_DIR = env.spool_dir
EXPORT_DIR = env.export_dir
SPOOL_MAX_BYTES = env.spool_max_bytes
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.redis(1),
        "KEY_PREFIX": "cache",
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1, "IGNORE_EXCEPTIONS": True},
    }
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
CELERY_BROKER_URL = env.redis(0)
EVENTS_URL = env.events_url or env.redis(0)
INGEST_WORKERS = env.ingest_workers

# Money
STRIPE_SECRET_KEY = env.stripe_secret_key
STRIPE_WEBHOOK_SECRET = env.stripe_webhook_secret
STRIPE_API_BASE = env.stripe_api_base
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
MIGRATION_MODULES = {"djstripe": "apps.billing.mirror.migrations"}

# Accounts
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "tenants:home"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "optional"  # the first check should not wait for a mail
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # the others end; the one that it was changed in goes on
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {
    "signup": "apps.apikeys.forms.SignupForm",
    "login": "apps.tenants.forms.LoginForm",
    "add_email": "apps.tenants.forms.AddEmailForm",
    "reset_password": "apps.tenants.forms.ResetPasswordForm",
    "reset_password_from_key": "apps.tenants.forms.ResetPasswordKeyForm",
    "change_password": "apps.tenants.forms.ChangePasswordForm",
    "reauthenticate": "apps.tenants.forms.ReauthenticateForm",
}
ACCOUNT_ADAPTER = "apps.apikeys.accounts.AccountAdapter"
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of what changes how somebody logs in
ACCOUNT_RATE_LIMITS: dict[str, str] | bool = {
    "login_failed": "10/m/ip,5/5m/key",
    "signup": "20/m/ip",
    "reset_password": "20/m/ip,5/m/key",
}
MFA_ADAPTER = "apps.tenants.logins.factors.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Ratelimiter"
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = PORTAL_URL.startswith("http://")
MFA_FORMS = {
    "authenticate": "apps.tenants.forms.CodeForm",
    "reauthenticate": "apps.tenants.forms.CodeAgainForm",
    "activate_totp": "apps.tenants.forms.AppForm",
    "add_webauthn": "apps.tenants.forms.PasskeyAddForm",
    "authenticate_webauthn": "apps.tenants.forms.PasskeyForm",
    "login_webauthn": "apps.tenants.forms.PasskeyLoginForm",
    "reauthenticate_webauthn": "apps.tenants.forms.PasskeyAgainForm",
}
ALLAUTH_TRUSTED_PROXY_COUNT = env.trusted_proxies
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# Mails
EMAIL_BACKEND = env.mail_backend()
ANYMAIL = {"SENDGRID_API_KEY": env.email_api_key, "REQUESTS_TIMEOUT": 15}
EMAIL_TIMEOUT = 15  # seconds
EMAIL_FILE_PATH = env.email_folder
EMAIL_HOST, EMAIL_PORT = env.email_host, env.email_port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS = env.email_user, env.email_password, True
SALES_EMAIL = env.sales_email
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.email_from

# Notifications
SEALING_KEYS = env.sealing()
SECRET_SCANNING_KEYS = env.scanners()  # who may report leaked keys
OUTBOUND_ALLOWED = env.networks()  # private networks that webhooks may reach
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
TWILIO_API_BASE = "https://api.twilio.com"
TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM = env.twilio_account_sid, env.twilio_auth_token, env.twilio_from
SMS_COUNTRIES = [code.strip().upper() for code in env.sms_countries.split(",") if code.strip()]
SMS_A_NUMBER, SMS_A_TENANT, SMS_A_COUNTRY = 20, 100, 2_000  # a day, of all tenants together where it is not a tenant's
ALERT_DEGRADED = 10  # checks in 3 minutes
ALERT_RULE_DENIED, ALERT_CALLER_DENIED = 1_000, 300  # checks in 10 minutes, by a rule and of one caller
MAX_CHANNELS = 20  # per tenant, beside members' own mails
LANES_A_TENANT = 4  # deliveries of one medium that a tenant may have under way at once
ENTITLEMENTS = "apps.plans.selectors.entitlements_of"  # plans and notifications are rooms on one floor

# API
API_AUTHENTICATION = [  # who asks the admin API, tried in this order
    "apps.apikeys.authentication.KeyAuthentication",
    "apps.tenants.logins.authentication.TokenAuthentication",
]
API_LIMITER = "apps.limits.own.admit"
API_REQUESTS_A_TENANT, API_REQUESTS_A_CREDENTIAL = 1_200, 600  # a minute
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "apps.core.openapi.Schema",
    "EXCEPTION_HANDLER": "apps.core.errors.problem_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Ratelimiter",
    "DESCRIPTION": "Ask whether a request may pass. 200 lets it, 429 does not.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "APPEND_COMPONENTS": {
        "schemas": {"Problem": PROBLEM_SCHEMA},
        "securitySchemes": {
            "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "rl_{live|test}_…"},
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "POST /api/v1/token"},
        },
    },
}

# Pages
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
CSRF_FAILURE_VIEW = "apps.core.views.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/staff/"],  # unfold's Alpine evaluates expressions
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        # Chromium holds redirects after a form to it, too: these lead to the pages where plans are paid.
        "form-action": ["'self'", *([STRIPE_API_BASE] if STRIPE_API_BASE else ["https://*.stripe.com"])],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PORTAL_URL.startswith("https://")

STAFF_COLOURS = {  # the portal's accent
    "50": "#f2f5fd", "100": "#e3eafb", "200": "#c5d4f7", "300": "#98b2f0", "400": "#6a8ce6", "500": "#3e68d8",
    "600": "#2450c4", "700": "#1b3f9f", "800": "#1a377f", "900": "#1a3167", "950": "#121f43",
}  # fmt: skip
UNFOLD = {
    "SITE_TITLE": "Ratelimiter staff",
    "SITE_HEADER": "Ratelimiter",
    "SITE_SYMBOL": "speed",
    "ENVIRONMENT": "apps.tenants.staff.staff_badge",
    "COLORS": {"primary": STAFF_COLOURS},
    "SIDEBAR": staff.SIDEBAR,
    "STYLES": [staff.sheet],
    "SCRIPTS": [staff.script],
    "COMMAND": {"search_models": True, "show_history": True},
}

# Metrics on ports of their own, first of all those that are free, because each process has its numbers.
if env.web_metrics_port:
    PROMETHEUS_METRICS_EXPORT_PORT_RANGE = range(env.web_metrics_port, env.web_metrics_port + 16)
    PROMETHEUS_METRICS_EXPORT_ADDRESS = env.web_metrics_host

# Limits of the product; per tenant
MAX_RULES = 100
MAX_KEYS = 100  # not counting revoked ones

LOGGING = logging_config(env.log_level, env.log_format)
LOGGING_CONFIG = "logging.config.dictConfig"
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO  # a refusal is an answer
