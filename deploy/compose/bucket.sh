#!/bin/sh
# The bucket, a user for the workers that may do no more than they need, and the lifecycle rule.
# Running it again changes nothing.
set -eu

read_secret() { cat "/run/secrets/$1"; }

mc --quiet alias set store http://minio:9000 \
    "$(read_secret minio_root_user)" "$(read_secret minio_root_password)"
mc --quiet mb --ignore-existing store/densefusion
mc --quiet admin policy create store densefusion-worker /setup/s3/worker-policy.json
mc --quiet admin user add store "$(read_secret store_access_key)" "$(read_secret store_secret_key)"
# Attaching it a second time is an error; then it has to be there.
mc --quiet admin policy attach store densefusion-worker --user "$(read_secret store_access_key)" \
    || mc admin user info store "$(read_secret store_access_key)" | grep -q densefusion-worker
mc --quiet ilm rule import store/densefusion < /setup/s3/lifecycle.json
