"""Amazon ECR's API, asked by botocore's client and by the unmodified AWS CLI."""

import base64
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

from registry_server import MANIFEST, basic, digest_of, index_of, manifest_of

ACCOUNT = "123456789012"
TUTORIAL = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["ecr:CreateRepository", "ecr:GetAuthorizationToken"], "Resource": "*"},
        {"Effect": "Allow", "Action": "ecr:*", "Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/*"},
    ],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    from registry_server import RegistryServer

    directory = tmp_path_factory.mktemp("ecr")
    (directory / "config.toml").write_text(f'[ecr]\naccount = "{ACCOUNT}"\nregion = "eu-central-1"\n')
    server = RegistryServer(directory).start("--config", str(directory / "config.toml"))
    yield server
    assert server.stop() == 0


def make_key(registry, policy, name=""):
    arguments = ("key", "create", "--format", "json", "--policy", "-", *(["--name", name] if name else []))
    return json.loads(registry.verb(*arguments, stdin=json.dumps(policy)).stdout)


def client_of(registry, key, region="us-east-1"):
    from botocore.config import Config
    from botocore.session import Session

    return Session().create_client(
        "ecr",
        region_name=region,
        endpoint_url=f"http://{registry.address}",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture(scope="module")
def key(registry):
    return make_key(registry, TUTORIAL)


@pytest.fixture
def ecr(registry, key):
    return client_of(registry, key)


@pytest.fixture
def name(ecr, request):
    chosen = "t/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    ecr.create_repository(repositoryName=chosen)
    return chosen


def password(ecr):
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, secret = base64.b64decode(token).decode().split(":")
    assert user == "AWS"
    return basic("AWS", secret)


def fails(kind, action, **parameters):
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as found:
        action(**parameters)
    assert found.value.response["Error"]["Code"] == kind, found.value
    return found.value.response["Error"]["Message"]


def test_repositories(ecr):
    made = ecr.create_repository(
        repositoryName="team/app",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "stage", "Value": "test"}],
    )["repository"]
    arn = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/app"
    assert (made["repositoryArn"], made["registryId"], made["repositoryName"]) == (arn, ACCOUNT, "team/app")
    assert made["repositoryUri"].endswith("/team/app")
    assert made["createdAt"].tzinfo is not None
    assert abs(made["createdAt"] - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert ecr.describe_repositories(repositoryNames=["team/app"])["repositories"] == [made]
    message = fails("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="team/app")
    assert message == f"The repository with name 'team/app' already exists in the registry with id '{ACCOUNT}'"
    fails("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=["none"])
    fails("InvalidParameterException", ecr.create_repository, repositoryName="UPPER")
    fails("InvalidParameterException", ecr.describe_repositories, registryId="999999999999")
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "stage", "Value": "test"}]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "b"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "b"}]
    changed = ecr.put_image_scanning_configuration(
        repositoryName="team/app", imageScanningConfiguration={"scanOnPush": False}
    )
    assert changed["imageScanningConfiguration"] == {"scanOnPush": False}
    fails("AccessDeniedException", ecr.describe_registry)  # its resource is not a repository


def test_what_is_no_text_is_refused(ecr):
    fails("SerializationException", ecr.describe_repositories, repositoryNames=["a\ud800"])


def test_pages(ecr):
    names = [f"pages/{number}" for number in range(5)]
    for each in names:
        ecr.create_repository(repositoryName=each)
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2}))
    found = [each["repositoryName"] for one in pages for each in one["repositories"]]
    assert [each for each in found if each.startswith("pages/")] == names
    assert len(pages) >= 3
    fails("InvalidParameterException", ecr.describe_repositories, nextToken="!!")


def test_a_repository_with_images_is_deleted_by_force_alone(registry, ecr, name):
    registry.push(name, "1", b"layer", headers=password(ecr))
    message = fails("RepositoryNotEmptyException", ecr.delete_repository, repositoryName=name)
    assert "still contains images" in message
    assert ecr.delete_repository(repositoryName=name, force=True)["repository"]["repositoryName"] == name
    fails("RepositoryNotFoundException", ecr.list_images, repositoryName=name)
    assert registry("GET", f"/v2/{name}/manifests/1", headers=password(ecr)).status == 404


def test_images_that_were_pushed_as_docker_does(registry, ecr, name):
    headers = password(ecr)
    first = registry.push(name, "1", b"a" * 1000, headers=headers)
    second = registry.push(name, "2", b"b" * 1000, headers=headers)
    registry.push(name, "latest", b"b" * 1000, headers=headers)
    ids = ecr.list_images(repositoryName=name)["imageIds"]
    assert sorted((each["imageDigest"], each["imageTag"]) for each in ids) == sorted(
        [(first, "1"), (second, "2"), (second, "latest")]
    )
    described = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert [(each["imageDigest"], each["imageTags"]) for each in described] == [(second, ["2", "latest"])]
    assert described[0]["imageManifestMediaType"] == MANIFEST
    assert described[0]["imageSizeInBytes"] > 1000
    assert len(ecr.describe_images(repositoryName=name)["imageDetails"]) == 2
    fails("ImageNotFoundException", ecr.describe_images, repositoryName=name, imageIds=[{"imageTag": "none"}])
    got = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}, {"imageTag": "none"}, {}])
    assert hashlib.sha256(got["images"][0]["imageManifest"].encode()).hexdigest() == first.partition(":")[2]
    assert [each["failureCode"] for each in got["failures"]] == ["ImageNotFound", "MissingDigestAndTag"]
    pages = ecr.get_paginator("list_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 1})
    assert len([each for page in pages for each in page["imageIds"]]) == 3


def test_retag_with_put_image(registry, ecr, name):
    digest = registry.push(name, "1", b"layer", headers=password(ecr))
    text = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}])["images"][0]["imageManifest"]
    put = ecr.put_image(repositoryName=name, imageTag="prod", imageManifest=text)["image"]
    assert put["imageId"] == {"imageDigest": digest, "imageTag": "prod"}
    assert registry("GET", f"/v2/{name}/manifests/prod", headers=password(ecr)).body == text.encode()
    fails("ImageAlreadyExistsException", ecr.put_image, repositoryName=name, imageTag="prod", imageManifest=text)
    lacking = manifest_of(b"not", [b"there"]).decode()
    fails("LayersNotFoundException", ecr.put_image, repositoryName=name, imageTag="x", imageManifest=lacking)
    lacking = index_of(b"{}").decode()
    fails("ReferencedImagesNotFoundException", ecr.put_image, repositoryName=name, imageTag="x", imageManifest=lacking)
    fails("InvalidParameterException", ecr.put_image, repositoryName=name, imageTag="x", imageManifest="{}")
    fails(
        "ImageDigestDoesNotMatchException",
        ecr.put_image,
        repositoryName=name,
        imageTag="y",
        imageManifest=text,
        imageDigest=digest_of(b"other"),
    )


def test_delete_images(registry, ecr, name):
    headers = password(ecr)
    digest = registry.push(name, "1", b"layer", headers=headers)
    registry.push(name, "2", b"layer", headers=headers)
    gone = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1"}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "1"}]
    assert [each["imageTag"] for each in ecr.list_images(repositoryName=name)["imageIds"]] == ["2"]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "2"}])  # the last tag takes the image along
    assert ecr.list_images(repositoryName=name)["imageIds"] == []
    digest = registry.push(name, "3", b"layer", headers=headers)
    index = index_of(registry("GET", f"/v2/{name}/manifests/3", headers=headers).body)
    ecr.put_image(repositoryName=name, imageTag="i", imageManifest=index.decode())
    failed = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": digest}, {"imageTag": "none"}])
    codes = {each["failureCode"] for each in failed["failures"]}
    assert (failed["imageIds"], codes) == ([], {"ImageReferencedByManifestList", "ImageNotFound"})
    both = [{"imageDigest": digest}, {"imageTag": "i"}]  # the index goes first, whatever the order
    assert ecr.batch_delete_image(repositoryName=name, imageIds=both)["failures"] == []
    assert ecr.list_images(repositoryName=name)["imageIds"] == []


def test_immutable_tags(registry, ecr, name):
    headers = password(ecr)
    registry.push(name, "1", b"first", headers=headers)
    changed = ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    assert changed["imageTagMutability"] == "IMMUTABLE"
    registry.push(name, "1", b"first", headers=headers)  # the same again is no change
    registry.push(name, "2", b"second", headers=headers)
    manifest = registry("GET", f"/v2/{name}/manifests/2", headers=headers).body
    answer = registry("PUT", f"/v2/{name}/manifests/1", manifest, {"Content-Type": MANIFEST, **headers})
    assert (answer.status, answer.code) == (400, "TAG_INVALID")
    assert "cannot be overwritten because the repository is immutable" in answer.json()["errors"][0]["message"]
    digest = digest_of(manifest)
    answer = registry("PUT", f"/v2/{name}/manifests/{digest}?tag=1", manifest, {"Content-Type": MANIFEST, **headers})
    assert answer.code == "TAG_INVALID"
    fails(
        "ImageTagAlreadyExistsException",
        ecr.put_image,
        repositoryName=name,
        imageTag="1",
        imageManifest=manifest.decode(),
    )
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    assert ecr.put_image(repositoryName=name, imageTag="1", imageManifest=manifest.decode())
    fails(
        "InvalidParameterException", ecr.put_image_tag_mutability, repositoryName=name, imageTagMutability="SOMETIMES"
    )


def test_layers_in_parts(registry, ecr, name):
    data = os.urandom(3_000_000)
    digest = digest_of(data)
    check = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[digest, "sha256:x"])
    assert [each["layerAvailability"] for each in check["layers"]] == ["UNAVAILABLE"]
    assert [each["failureCode"] for each in check["failures"]] == ["InvalidLayerDigest"]
    begun = ecr.initiate_layer_upload(repositoryName=name)
    upload, half = begun["uploadId"], 1_500_000
    fails(
        "EmptyUploadException", ecr.complete_layer_upload, repositoryName=name, uploadId=upload, layerDigests=[digest]
    )
    for first in (0, half):
        part = data[first : first + half]
        got = ecr.upload_layer_part(
            repositoryName=name,
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + half - 1,
            layerPartBlob=part,
        )
        assert got["lastByteReceived"] == first + half - 1
    fails(
        "InvalidLayerPartException",
        ecr.upload_layer_part,
        repositoryName=name,
        uploadId=upload,
        partFirstByte=0,
        partLastByte=2,
        layerPartBlob=b"abc",
    )
    done = ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    assert done["layerDigest"] == digest
    fails(
        "LayerAlreadyExistsException",
        ecr.complete_layer_upload,
        repositoryName=name,
        uploadId=upload,
        layerDigests=[digest],
    )
    wrong = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    arguments = {"repositoryName": name, "uploadId": wrong}
    ecr.upload_layer_part(**arguments, partFirstByte=0, partLastByte=0, layerPartBlob=b"x")
    fails("InvalidLayerException", ecr.complete_layer_upload, **arguments, layerDigests=[digest_of(b"y")])
    fails("UploadNotFoundException", ecr.complete_layer_upload, **arguments, layerDigests=[digest_of(b"y")])
    check = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[digest])["layers"]
    assert check == [{"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(data)}]
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest)["downloadUrl"]
    assert urllib.request.urlopen(url).read() == data
    assert registry("GET", url.partition(registry.address)[2].replace(name, "t/other")).status in (401, 403)
    fails("LayersNotFoundException", ecr.get_download_url_for_layer, repositoryName=name, layerDigest=digest_of(b"z"))


LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "keep one",
            "selection": {
                "tagStatus": "tagged",
                "tagPrefixList": ["v"],
                "countType": "imageCountMoreThan",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        }
    ]
}


def test_lifecycle_policies_are_previewed_kept_and_carried_out(registry, ecr, name):
    from wherry.base.clock import system_clock
    from wherry.registry.configuration import Configuration
    from wherry.registry.ecr.expiring import expire_images
    from wherry.registry.service import open_service

    fails("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, repositoryName=name)
    fails("LifecyclePolicyPreviewNotFoundException", ecr.get_lifecycle_policy_preview, repositoryName=name)
    headers = password(ecr)
    digests = [registry.push(name, tag, tag.encode(), headers=headers) for tag in ("v1", "v2", "v3", "other")]
    text = json.dumps(LIFECYCLE)
    started = ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=text)
    assert started["status"] == "IN_PROGRESS"
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=name)
    preview = ecr.get_lifecycle_policy_preview(repositoryName=name)
    assert {each["imageDigest"] for each in preview["previewResults"]} == set(digests[:2])
    assert {each["appliedRulePriority"] for each in preview["previewResults"]} == {1}
    assert preview["summary"]["expiringImageTotalCount"] == 2
    assert len(ecr.list_images(repositoryName=name)["imageIds"]) == 4  # a preview deletes nothing
    assert ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)["lifecyclePolicyText"] == text
    assert ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == text
    service = open_service(Configuration(data=registry.data))  # what the server does every ten minutes
    done = dict(expire_images(service.catalog, system_clock()))
    service.close()
    assert {each.image.digest for each in done[name]} == set(digests[:2])
    left = ecr.list_images(repositoryName=name)["imageIds"]
    assert sorted(each["imageTag"] for each in left) == ["other", "v3"]
    assert "lastEvaluatedAt" in ecr.get_lifecycle_policy(repositoryName=name)
    assert ecr.delete_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == text
    fails("LifecyclePolicyNotFoundException", ecr.delete_lifecycle_policy, repositoryName=name)
    fails("InvalidParameterException", ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText="x" * 100)


def test_a_key_without_rights(registry, name):
    narrow = make_key(
        registry,
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
                {
                    "Effect": "Allow",
                    "Action": ["ecr:Batch*", "ecr:GetDownloadUrlForLayer", "ecr:Describe*"],
                    "Resource": f"arn:aws:ecr:*:*:repository/{name}",
                },
                {"Effect": "Deny", "Action": "ecr:BatchDelete*", "Resource": "*"},
            ],
        },
        "narrow",
    )
    ecr = client_of(registry, narrow)
    message = fails("AccessDeniedException", ecr.create_repository, repositoryName="new")
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/narrow is not authorized to perform: ecr:CreateRepository on resource:"
        f" arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/new"
    )
    fails("AccessDeniedException", ecr.batch_delete_image, repositoryName=name, imageIds=[{"imageTag": "x"}])
    fails("AccessDeniedException", ecr.describe_repositories)
    assert ecr.describe_repositories(repositoryNames=[name])
    headers = password(ecr)
    assert registry("GET", f"/v2/{name}/manifests/x", headers=headers).code == "MANIFEST_UNKNOWN"
    assert registry("POST", f"/v2/{name}/blobs/uploads/", b"", headers).code == "DENIED"
    assert registry("GET", "/v2/t/other/manifests/x", headers=headers).code == "DENIED"
    registry.verb("key", "rm", narrow["AccessKeyId"])
    assert registry("GET", f"/v2/{name}/manifests/x", headers=headers).status == 401
    fails("UnrecognizedClientException", ecr.describe_repositories)


def test_repository_policies(registry, ecr, name):
    stranger = make_key(registry, {"Version": "2012-10-17", "Statement": []}, "stranger")
    other = client_of(registry, stranger)
    fails("RepositoryPolicyNotFoundException", ecr.get_repository_policy, repositoryName=name)
    fails("AccessDeniedException", other.list_images, repositoryName=name)
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "one",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/stranger"},
                    "Action": ["ecr:ListImages"],
                },
                {"Effect": "Deny", "Principal": "*", "Action": "ecr:DeleteRepository"},
            ],
        }
    )
    assert ecr.set_repository_policy(repositoryName=name, policyText=policy)["policyText"] == policy
    assert ecr.get_repository_policy(repositoryName=name)["policyText"] == policy
    assert other.list_images(repositoryName=name)["imageIds"] == []
    fails("AccessDeniedException", ecr.delete_repository, repositoryName=name)
    fails("InvalidParameterException", ecr.set_repository_policy, repositoryName=name, policyText='{"Statement": 1}')
    assert ecr.delete_repository_policy(repositoryName=name)["policyText"] == policy
    fails("AccessDeniedException", other.list_images, repositoryName=name)
    fails("RepositoryPolicyNotFoundException", ecr.delete_repository_policy, repositoryName=name)


def test_a_push_does_not_make_repositories_as_at_amazon(registry, ecr):
    answer = registry("POST", "/v2/t/never-made/blobs/uploads/", b"", password(ecr))
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert "The repository with name 't/never-made' does not exist" in answer.json()["errors"][0]["message"]


def signed(registry, key, signed_body, **changes):
    """A signed ListImages as raw HTTP, to be tampered with."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        "Host": registry.address,
    }
    request = AWSRequest("POST", f"http://{registry.address}/", headers=headers, data=signed_body)
    SigV4Auth(Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "ecr", "us-east-1").add_auth(request)
    sent = {**dict(request.headers.items()), **changes}
    return registry("POST", "/", changes.get("body", signed_body), {k: v for k, v in sent.items() if k != "body" and v})


def test_signatures(registry, key):
    assert signed(registry, key, b"{}").status == 200
    for changes, kind in (
        ({"body": b'{"maxResults":1}'}, "InvalidSignatureException"),
        ({"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry"}, "InvalidSignatureException"),
        ({"X-Amz-Date": "20200101T000000Z"}, "InvalidSignatureException"),
        ({"X-Amz-Date": None}, "IncompleteSignatureException"),
        ({"Authorization": None}, "MissingAuthenticationTokenException"),
        ({"Authorization": "AWS4-HMAC-SHA256 x"}, "IncompleteSignatureException"),
        ({"Host": "other.example.com"}, "InvalidSignatureException"),
        ({"X-Amz-Target": "Other.Thing"}, "UnknownOperationException"),
    ):
        answer = signed(registry, key, b"{}", **changes)
        assert answer.json()["__type"] == kind, (changes, answer)
    wrong = signed(registry, {**key, "SecretAccessKey": "wrong"}, b"{}")
    assert (wrong.status, wrong.json()["__type"]) == (403, "InvalidSignatureException")
    nobody = signed(registry, {"AccessKeyId": "AKIANOBODY", "SecretAccessKey": "x"}, b"{}")
    assert nobody.json()["__type"] == "UnrecognizedClientException"
    for body, kind in ((b"no json", "SerializationException"), (b'{"maxResults":"x"}', "InvalidParameterException")):
        assert signed(registry, key, body).json()["__type"] == kind
    target = {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.NoSuchThing"}
    assert signed(registry, key, b"{}", **target).status in (400, 403)


def test_every_answer_is_audited(registry, ecr, name):
    registry.push(name, "1", b"layer", headers=password(ecr))
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1"}])
    with open(f"{registry.data}/audit.log") as file:
        entries = [json.loads(line) for line in file]
    actions = [each["action"] for each in entries if each.get("repository") == name]
    assert actions == ["ecr:CreateRepository", "push", "ecr:BatchDeleteImage"]


@pytest.mark.skipif(shutil.which("aws") is None, reason="not installed: aws (pip install awscli)")
def test_the_unmodified_aws_cli(registry, key, tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": f"http://{registry.address}",
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }

    def aws(*arguments, check=True):
        argv = ["aws", "ecr", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    name = "packt-bizza-web-app"
    assert aws("create-repository", "--repository-name", name)["repository"]["repositoryName"] == name
    found = aws("describe-repositories", "--repository-names", name)["repositories"][0]
    assert found["repositoryUri"] == f"{registry.address}/{name}"
    secret = aws("get-login-password", "--region", "us-east-1").strip()
    registry.push(name, "1", b"layer", headers=basic("AWS", secret))
    assert [each["imageTag"] for each in aws("list-images", "--repository-name", name)["imageIds"]] == ["1"]
    assert aws("describe-images", "--repository-name", name)["imageDetails"][0]["imageTags"] == ["1"]
    aws("put-image-tag-mutability", "--repository-name", name, "--image-tag-mutability", "IMMUTABLE")
    aws("put-lifecycle-policy", "--repository-name", name, "--lifecycle-policy-text", json.dumps(LIFECYCLE))
    aws("start-lifecycle-policy-preview", "--repository-name", name)
    preview = aws("get-lifecycle-policy-preview", "--repository-name", name)
    assert (preview["status"], preview["previewResults"]) == ("COMPLETE", [])
    gone = aws("batch-delete-image", "--repository-name", name, "--image-ids", "imageTag=1")
    assert gone["imageIds"][0]["imageTag"] == "1"
    aws("delete-repository", "--repository-name", name)
    done = aws("describe-repositories", "--repository-names", name, check=False)
    assert "RepositoryNotFoundException" in done.stderr
