#!/bin/sh
# web | worker | worker-fast | worker-reports | worker-periodic | worker-webhooks | beat | migrate | simulator
# Any other arguments: manage.py gets them.
set -eu
mkdir -p "${TMPDIR:-/tmp}"
role="${1:-web}"
case "$role" in
    web)
        exec gunicorn smsapp.wsgi --config python:smsapp.runtime.gunicorn --bind "0.0.0.0:${PORT:-5001}" \
            --graceful-timeout 40 --workers "${WEB_PROCESSES:-2}" --threads "${WEB_THREADS:-4}" --worker-tmp-dir /dev/shm \
            --access-logfile -
        ;;
    worker)
        exec celery --quiet -A smsapp worker -n "worker@%h" -Q campaigns,files -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    worker-fast)
        exec celery --quiet -A smsapp worker -n "worker-fast@%h" -Q singles -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    worker-reports)
        exec celery --quiet -A smsapp worker -n "worker-reports@%h" -Q reports -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    worker-periodic)
        exec celery --quiet -A smsapp worker -n "worker-periodic@%h" -Q periodic -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    worker-webhooks)
        exec celery --quiet -A smsapp worker -n "worker-webhooks@%h" -Q webhooks -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    beat)
        exec celery --quiet -A smsapp beat --loglevel INFO
        ;;
    migrate)
        exec python manage.py migrate --noinput
        ;;
    simulator)
        exec python manage.py simulator --host 0.0.0.0 --ledger "$VAR_DIR/simulator.jsonl"
        ;;
    *)
        exec python manage.py "$@"
        ;;
esac
