{{/* A stage with everything that it has not set taken from the defaults, and its keys of the store. */}}
{{- define "densefusion.stage" -}}
{{- $stage := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy .stage) -}}
{{- $static := and .root.Values.kafka.staticMembership (eq $stage.kind "StatefulSet") -}}
{{- $keys := mergeOverwrite (deepCopy .root.Values.store.keysSecret) ($stage.keysSecret | default dict) -}}
{{- toYaml (set (set $stage "static" $static) "keysSecret" $keys) -}}
{{- end -}}

{{- define "densefusion.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The stages that run: experts outside of the roster do not. */}}
{{- define "densefusion.stages" -}}
{{- $found := list -}}
{{- range $name, $stage := .Values.stages -}}
{{- if or (not $stage.expert) (has $name $.Values.roster) -}}{{- $found = append $found $name -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "densefusion.selector" -}}
app.kubernetes.io/name: densefusion
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "densefusion.labels" -}}
{{ include "densefusion.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "densefusion.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := ternary ($image.gpuTag | default (printf "%s-gpu" .root.Chart.AppVersion)) ($image.tag | default (printf "%s-cpu" .root.Chart.AppVersion)) .gpu -}}
{{ $image.repository }}:{{ $tag }}
{{- end -}}

{{- define "densefusion.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Settings that all stages share. Secrets are files, named here and mounted from Secrets. */}}
{{- define "densefusion.env" -}}
{{- $values := .root.Values -}}
{{- $security := $values.kafka.security -}}
- {name: DENSEFUSION_KAFKA__BOOTSTRAP, value: {{ $values.kafka.bootstrap | quote }}}
- {name: DENSEFUSION_KAFKA__PREFIX, value: {{ $values.kafka.prefix | quote }}}
- {name: DENSEFUSION_KAFKA__PARTITIONS, value: {{ $values.kafka.partitions | quote }}}
- {name: DENSEFUSION_KAFKA__SECURITY__PROTOCOL, value: {{ $security.protocol }}}
{{- if hasPrefix "SASL" $security.protocol }}
- {name: DENSEFUSION_KAFKA__SECURITY__MECHANISM, value: {{ $security.mechanism }}}
- {name: DENSEFUSION_KAFKA__SECURITY__USERNAME, value: {{ $security.username | quote }}}
- {name: DENSEFUSION_KAFKA__SECURITY__PASSWORD_FILE, value: /run/secrets/kafka-password/{{ $security.passwordSecret.key }}}
{{- end }}
{{- if hasSuffix "SSL" $security.protocol }}
{{- if $security.caSecret.name }}
- {name: DENSEFUSION_KAFKA__SECURITY__CA, value: /run/secrets/kafka-ca/{{ $security.caSecret.key }}}
{{- end }}
{{- if $security.certificateSecret.name }}
- {name: DENSEFUSION_KAFKA__SECURITY__CERTIFICATE, value: /run/secrets/kafka-certificate/{{ $security.certificateSecret.certificate }}}
- {name: DENSEFUSION_KAFKA__SECURITY__KEY, value: /run/secrets/kafka-certificate/{{ $security.certificateSecret.key }}}
{{- end }}
{{- end }}
{{- if $values.kafka.schemaRegistry }}
- {name: DENSEFUSION_KAFKA__SCHEMA_REGISTRY, value: {{ $values.kafka.schemaRegistry | quote }}}
{{- end }}
- {name: DENSEFUSION_STORE__ENDPOINT, value: {{ $values.store.endpoint | quote }}}
- {name: DENSEFUSION_STORE__SECURE, value: {{ $values.store.secure | quote }}}
- {name: DENSEFUSION_STORE__BUCKET, value: {{ $values.store.bucket | quote }}}
- {name: DENSEFUSION_STORE__REGION, value: {{ $values.store.region | quote }}}
- {name: DENSEFUSION_STORE__ACCESS_KEY_FILE, value: /run/secrets/store/{{ .stage.keysSecret.accessKey }}}
- {name: DENSEFUSION_STORE__SECRET_KEY_FILE, value: /run/secrets/store/{{ .stage.keysSecret.secretKey }}}
{{- if and $values.store.secure $values.store.caSecret.name }}
- {name: DENSEFUSION_STORE__CA, value: /run/secrets/store-ca/{{ $values.store.caSecret.key }}}
{{- end }}
- {name: DENSEFUSION_EXPERTS__ROSTER, value: {{ join "," $values.roster | quote }}}
- {name: DENSEFUSION_WORKER__METRICS_PORT, value: "9100"}
- {name: DENSEFUSION_WORKER__SHUTDOWN_GRACE, value: {{ $values.worker.shutdownGrace | quote }}}
- {name: DENSEFUSION_WORKER__REVOKE_GRACE, value: {{ $values.worker.revokeGrace | quote }}}
- {name: DENSEFUSION_LOG__FORMAT, value: json}
{{- if .stage.gpu }}
- {name: DENSEFUSION_EXPERTS__PROVIDER, value: {{ $values.engines.provider }}}
- {name: DENSEFUSION_EXPERTS__PRECISION, value: {{ $values.engines.precision }}}
- {name: DENSEFUSION_EXPERTS__ENGINE_MISMATCH, value: {{ ternary "refuse" "rebuild" $values.engines.build }}}
- {name: DENSEFUSION_EXPERTS__SHARE_ENGINES, value: {{ $values.engines.share | quote }}}
{{- end }}
- {name: DENSEFUSION_EXPERTS__PROFILE, value: {{ $values.engines.profile }}}
{{- range $name, $value := merge (deepCopy .stage.env) (deepCopy $values.env) }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "densefusion.secretMounts" -}}
{{- $values := .Values -}}
{{- $security := $values.kafka.security -}}
- {name: store, mountPath: /run/secrets/store, readOnly: true}
{{- if hasPrefix "SASL" $security.protocol }}
- {name: kafka-password, mountPath: /run/secrets/kafka-password, readOnly: true}
{{- end }}
{{- if and (hasSuffix "SSL" $security.protocol) $security.caSecret.name }}
- {name: kafka-ca, mountPath: /run/secrets/kafka-ca, readOnly: true}
{{- end }}
{{- if and (hasSuffix "SSL" $security.protocol) $security.certificateSecret.name }}
- {name: kafka-certificate, mountPath: /run/secrets/kafka-certificate, readOnly: true}
{{- end }}
{{- if and $values.store.secure $values.store.caSecret.name }}
- {name: store-ca, mountPath: /run/secrets/store-ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* Only the keys that are named, so that a Secret with more in it does not show the rest. */}}
{{- define "densefusion.secretVolumes" -}}
{{- $values := .root.Values -}}
{{- $security := $values.kafka.security -}}
{{- $keys := .stage.keysSecret -}}
- name: store
  secret:
    secretName: {{ $keys.name }}
    defaultMode: 0440
    items:
      - {key: {{ $keys.accessKey }}, path: {{ $keys.accessKey }}}
      - {key: {{ $keys.secretKey }}, path: {{ $keys.secretKey }}}
{{- if hasPrefix "SASL" $security.protocol }}
- name: kafka-password
  secret:
    secretName: {{ $security.passwordSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $security.passwordSecret.key }}, path: {{ $security.passwordSecret.key }}}]
{{- end }}
{{- if and (hasSuffix "SSL" $security.protocol) $security.caSecret.name }}
- name: kafka-ca
  secret:
    secretName: {{ $security.caSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $security.caSecret.key }}, path: {{ $security.caSecret.key }}}]
{{- end }}
{{- if and (hasSuffix "SSL" $security.protocol) $security.certificateSecret.name }}
- name: kafka-certificate
  secret:
    secretName: {{ $security.certificateSecret.name }}
    defaultMode: 0440
    items:
      - {key: {{ $security.certificateSecret.certificate }}, path: {{ $security.certificateSecret.certificate }}}
      - {key: {{ $security.certificateSecret.key }}, path: {{ $security.certificateSecret.key }}}
{{- end }}
{{- if and $values.store.secure $values.store.caSecret.name }}
- name: store-ca
  secret:
    secretName: {{ $values.store.caSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $values.store.caSecret.key }}, path: {{ $values.store.caSecret.key }}}]
{{- end }}
{{- end -}}
