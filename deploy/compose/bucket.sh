#!/bin/sh
# The bucket, a user for each policy of deploy/s3 that the stack uses, and the lifecycle rule.
# Running it again changes nothing. The image has a shell, coreutils and mc, and no more.
set -eu

: "${STORE_URL:=http://minio:9000}" "${SECRETS:=/run/secrets}" "${POLICIES:=/setup/s3}"

read_secret() { cat "$SECRETS/$1"; }

mc --quiet alias set store "$STORE_URL" \
    "$(read_secret minio_root_user)" "$(read_secret minio_root_password)"
mc --quiet mb --ignore-existing store/densefusion
for role in fetch curate expert fusion dataset operator reader; do
    user=$(read_secret "${role}_access_key")
    policy=densefusion-$role
    mc --quiet admin policy create store "$policy" "$POLICIES/$role-policy.json"
    mc --quiet admin user add store "$user" "$(read_secret "${role}_secret_key")"
    case $(mc --quiet admin user info store "$user") in
        *"$policy"*) ;; # attaching it again is an error to some versions
        *) mc --quiet admin policy attach store "$policy" --user "$user" ;;
    esac
done
mc --quiet ilm rule import store/densefusion < "$POLICIES/lifecycle.json"
