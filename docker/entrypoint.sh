#!/bin/sh
# web | worker | worker-fast | worker-periodic | worker-webhooks | beat | migrate | simulator | any other arguments: manage.py gets them
set -eu
role="${1:-web}"
case "$role" in
    web)
        exec gunicorn smsapp.wsgi --bind "0.0.0.0:${PORT:-5001}" --worker-class gthread \
            --workers "${WEB_PROCESSES:-2}" --threads "${WEB_THREADS:-4}" --keep-alive 75 --worker-tmp-dir /dev/shm \
            --access-logfile -
        ;;
    worker)
        exec celery --quiet -A smsapp worker -n "worker@%h" -Q campaigns,files -c "${WORKER_CHILDREN:-2}" \
            --without-gossip --without-mingle --loglevel INFO
        ;;
    worker-fast)
        exec celery --quiet -A smsapp worker -n "worker-fast@%h" -Q singles,reports -c "${WORKER_CHILDREN:-2}" \
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
