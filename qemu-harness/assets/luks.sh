# Inside the builder: writes a LUKS header with two keyslots into the image $1. UUID $2, keys in folder $3, data from
# sector $4 on, version $5, KiB of memory for argon2id $6. The costs are small: keys of machines are random, and tests
# wait for them.
set -eu
image=$1 uuid=$2 keys=$3 offset=$4 version=$5 memory=$6
case $version in
    luks1)
        first="--pbkdf-force-iterations 1000"
        ;;
    luks2)
        first="--sector-size 512 --pbkdf argon2id --pbkdf-memory $memory --pbkdf-parallel 2 --pbkdf-force-iterations 4"
        ;;
esac
# shellcheck disable=SC2086 # a list of words
cryptsetup luksFormat --batch-mode --type "$version" --uuid "$uuid" --offset "$offset" \
    --cipher aes-xts-plain64 --key-size 512 --volume-key-file "$keys/volume" --key-file "$keys/argon2id" $first "$image"
cryptsetup luksAddKey --batch-mode --key-file "$keys/argon2id" \
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$image" "$keys/pbkdf2"
cryptsetup luksDump "$image"
for key in argon2id pbkdf2; do
    cryptsetup open --test-passphrase --key-file "$keys/$key" "$image"
done
